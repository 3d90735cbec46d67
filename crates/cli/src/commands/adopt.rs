//! `redoubt adopt`.

use std::io::{self, IsTerminal as _, Write as _};

use redoubt_kubernetes::{Adoption, Obstacle, Remote};

use crate::{
    args::{AdoptArgs, DataForm},
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
        if args.consent.dry_run || !(args.consent.yes || agreed(&adoption)?) {
            return Ok(());
        }
        remote.adopt(&adoption).await?;
        let name = &adoption.name;
        say::hint(format_args!("the operator takes it over: see `redoubt status redisfailover/{name}`"));
        Ok(())
    })
}

/// Asks on a terminal; elsewhere nobody could answer.
fn agreed(adoption: &Adoption) -> Result<bool, Failure> {
    let name = &adoption.name;
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let why = format_args!("nobody was asked whether to take {name} over");
        return Err(Failure::new(Code::Fault, why).hint("add --yes, or --dry-run to see the plan"));
    }
    write!(io::stderr(), "take {name} over? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn problem(obstacle: &Obstacle) -> Problem {
    Problem { message: obstacle.what.clone(), hint: Some(obstacle.next.clone()) }
}
