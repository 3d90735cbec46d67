//! `redoubt up`: the engine in this process with a view of it, or one in the background.

mod background;
mod engine;
mod foreground;
mod plain;
mod sight;

use std::path::PathBuf;

use redoubt_api::Batch;
use redoubt_local::{EngineOptions, Local, PlatformOptions};

pub(crate) use self::engine::run as run_engine;
use crate::{
    args::{PlaceArgs, UpArgs},
    failure::Failure,
    input, runtime,
};

/// Starts what the files say, or what was applied before.
pub(crate) fn run(args: &UpArgs) -> Result<(), Failure> {
    let resolved = Resolved::new(args)?;
    if args.detach {
        runtime::small(background::run(&resolved))
    } else {
        runtime::large(foreground::run(&resolved))
    }
}

/// A command line that can be acted on: its files were read and are without fault.
struct Resolved {
    batch: Option<Batch>,
    files: Vec<PathBuf>,
    place: PlaceArgs,
    plain: bool,
}

impl Resolved {
    fn new(args: &UpArgs) -> Result<Self, Failure> {
        let batch = if args.files.is_empty() {
            // Nothing is made for somebody who only forgot to name a file.
            Local::open(&args.place.state.state_dir)?;
            None
        } else {
            Some(input::accepted(&args.files)?)
        };
        Ok(Self { batch, files: args.files.clone(), place: args.place.clone(), plain: args.plain })
    }

    fn options(&self) -> EngineOptions {
        options(self.files.clone(), &self.place)
    }
}

fn options(files: Vec<PathBuf>, place: &PlaceArgs) -> EngineOptions {
    EngineOptions {
        state_dir: place.state.state_dir.clone(),
        files,
        platform: PlatformOptions { executable: None, single_address: place.single_address },
    }
}
