//! `redoubt adopt`.

use redoubt_kubernetes::{Obstacle, Remote};

use crate::{
    args::{AdoptArgs, DataForm},
    consent,
    failure::{Code, Failure, Problem},
    print::adoption::text,
    runtime, say,
};

/// What would change is shown also where something stands in the way. The operator does the work, so that nothing depends
/// on this process.
pub(crate) fn run(args: &AdoptArgs) -> Result<(), Failure> {
    runtime::small(async {
        let remote = Remote::open(&args.cluster.options()).await?;
        let adoption = remote.adoption(&args.name).await?;
        match args.consent.output {
            DataForm::Text => say::data(&text(&adoption))?,
            DataForm::Json => say::data(&format!("{:#}\n", serde_json::json!(adoption)))?,
        }
        adoption.warnings.iter().for_each(say::warn);
        if !adoption.obstacles.is_empty() {
            let problems = adoption.obstacles.iter().map(problem).collect();
            return Err(Failure { code: Code::Failed, problems });
        }
        if args.consent.dry_run {
            return Ok(());
        }
        if !(args.consent.yes || agreed(&adoption.name)?) {
            say::talk("nothing was changed");
            return Ok(());
        }
        remote.adopt(&adoption).await?;
        let name = &adoption.name;
        say::hint(format_args!("the operator takes it over: see `redoubt status redisfailover/{name}`"));
        Ok(())
    })
}

fn agreed(name: &str) -> Result<bool, Failure> {
    if !consent::can_be_asked() {
        let why = format_args!("nobody was asked whether to take {name} over");
        return Err(Failure::new(Code::Fault, why).hint("add --yes, or --dry-run to see the plan"));
    }
    Ok(consent::agreed(&format!("take {name} over"))?)
}

fn problem(obstacle: &Obstacle) -> Problem {
    Problem { message: obstacle.what.clone(), hint: Some(obstacle.next.clone()) }
}
