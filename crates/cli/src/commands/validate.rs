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
    batch.accepted.iter().fold(String::new(), |mut text, resource| {
        let _ = writeln!(text, "{} is valid", resource.checked.key.name);
        text
    })
}

fn as_json(batch: &Batch) -> String {
    let names: Vec<_> = batch.accepted.iter().map(|resource| &resource.checked.key.name).collect();
    format!("{:#}\n", json!({ "valid": names, "warnings": batch.warnings, "faults": batch.faults }))
}
