//! `redoubt adopt`.

use redoubt_kubernetes::{Adoption, Obstacle, Remote};

use crate::{
    args::{AdoptArgs, DataForm},
    failure::{Code, Failure, Problem},
    print::adoption::text,
    runtime, say,
};

/// What would change is shown also where something stands in the way.
pub(crate) fn run(args: &AdoptArgs) -> Result<(), Failure> {
    let adoption = runtime::small(look(args))?;
    match args.output {
        DataForm::Text => say::data(&text(&adoption))?,
        DataForm::Json => say::data(&format!("{:#}\n", serde_json::json!(adoption)))?,
    }
    adoption.warnings.iter().for_each(say::warn);
    if adoption.obstacles.is_empty() {
        return Ok(());
    }
    Err(Failure { code: Code::Failed, problems: adoption.obstacles.iter().map(problem).collect() })
}

async fn look(args: &AdoptArgs) -> Result<Adoption, Failure> {
    Ok(Remote::open(&args.cluster.options()).await?.adoption(&args.name).await?)
}

fn problem(obstacle: &Obstacle) -> Problem {
    Problem { message: obstacle.what.clone(), hint: Some(obstacle.next.clone()) }
}
