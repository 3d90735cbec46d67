//! Commands about the program itself.

use clap::CommandFactory as _;
use redoubt_wire::API_VERSION;
use serde_json::json;

use crate::{
    args::{Cli, CompletionsArgs, DataForm, VersionArgs},
    failure::Failure,
    say,
};

/// `redoubt schema`.
pub(crate) fn schema() -> Result<(), Failure> {
    say::data(&format!("{:#}\n", redoubt_api::schema()))
}

/// `redoubt version`.
pub(crate) fn version(args: &VersionArgs) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match args.output {
        DataForm::Text => say::data(&format!("redoubt {version}\n")),
        DataForm::Json => {
            let data = json!({
                "version": version,
                "resourceVersion": redoubt_api::API_VERSION,
                "agentApiVersion": API_VERSION,
            });
            say::data(&format!("{data:#}\n"))
        }
    }
}

/// `redoubt completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "redoubt", &mut text);
    say::data(&String::from_utf8_lossy(&text))
}
