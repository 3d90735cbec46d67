//! `redoubt validate`.

use std::fmt::Write as _;

use redoubt_api::Batch;
use serde_json::json;

use crate::{
    args::{DataForm, ValidateArgs},
    failure::{Code, Failure},
    input, say,
};

/// Checks files and says all that is wrong with them.
pub(crate) fn run(args: &ValidateArgs) -> Result<(), Failure> {
    let batch = input::judged(&args.input.files)?;
    match args.output {
        DataForm::Json => {
            say::data(&as_json(&batch))?;
            if batch.faults.is_empty() { Ok(()) } else { Err(Failure::silent(Code::Fault)) }
        }
        DataForm::Text => {
            batch.warnings.iter().for_each(say::warn);
            say::data(&accepted(&batch))?;
            if batch.faults.is_empty() { Ok(()) } else { Err(Failure::faults(&batch.faults)) }
        }
    }
}

fn accepted(batch: &Batch) -> String {
    names(batch).fold(String::new(), |mut text, name| {
        let _ = writeln!(text, "{name} is valid");
        text
    })
}

fn names(batch: &Batch) -> impl Iterator<Item = &String> {
    let redises = batch.accepted.iter().map(|resource| &resource.checked.key.name);
    redises.chain(batch.failovers.iter().map(|failover| &failover.checked.key.name))
}

fn as_json(batch: &Batch) -> String {
    let names: Vec<_> = names(batch).collect();
    format!("{:#}\n", json!({ "valid": names, "warnings": batch.warnings, "faults": batch.faults }))
}
