//! `redoubt status`.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    args::{StatusArgs, StatusForm},
    failure::{Code, Failure},
    place::Place,
    print,
    report::Report,
    runtime, say,
};

/// Shows how one Redis is, or all of them.
pub(crate) fn run(args: &StatusArgs) -> Result<(), Failure> {
    runtime::small(async {
        let place = Place::open(&args.place).await?;
        if let Some(name) = &args.name {
            let report = place.report(name).await?;
            one(&report, args.output)?;
            return verdict(args.ready, std::slice::from_ref(&report));
        }
        let reports = place.reports().await?;
        several(&place, &reports, args.output)?;
        verdict(args.ready, &reports)
    })
}

fn one(report: &Report, form: StatusForm) -> Result<(), Failure> {
    match form {
        StatusForm::Text | StatusForm::Wide => {
            let wide = form == StatusForm::Wide;
            say::data(&print::report::text(report, Timestamp::now(), wide))
        }
        StatusForm::Json => say::data(&json(report)?),
        StatusForm::Yaml => say::data(&yaml(report)?),
    }
}

fn several(place: &Place, reports: &[Report], form: StatusForm) -> Result<(), Failure> {
    match form {
        StatusForm::Text if reports.is_empty() => {
            say::hint(format_args!("there is no Redis yet; {}", place.beginning()));
            Ok(())
        }
        StatusForm::Text => say::data(&print::report::list(reports)),
        StatusForm::Wide => {
            let texts: Vec<_> =
                reports.iter().map(|report| print::report::text(report, Timestamp::now(), true)).collect();
            say::data(&texts.join("\n"))
        }
        StatusForm::Json => say::data(&json(reports)?),
        StatusForm::Yaml => say::data(&yaml(reports)?),
    }
}

/// With `--ready`, scripts read the answer from the exit code.
fn verdict(asked: bool, reports: &[Report]) -> Result<(), Failure> {
    let unready: Vec<_> =
        reports.iter().filter(|report| !report.is_ready()).map(|report| report.name.as_str()).collect();
    if !asked || unready.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::NotHealthy, format_args!("not Ready: {}", unready.join(", "))))
}

fn json(data: &(impl Serialize + ?Sized)) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(data).map_err(|error| Failure::new(Code::Failed, error))?;
    Ok(text + "\n")
}

/// By way of JSON, so that both say the same.
fn yaml(data: &(impl Serialize + ?Sized)) -> Result<String, Failure> {
    let value = serde_json::to_value(data).map_err(|error| Failure::new(Code::Failed, error))?;
    serde_saphyr::to_string(&value).map_err(|error| Failure::new(Code::Failed, error))
}
