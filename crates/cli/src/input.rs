//! Files with resources, read and judged together.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use redoubt_api::{Batch, Source, read, read_with_failovers};

use crate::{
    failure::{Code, Failure},
    say,
};

/// More than this is no file with resources; bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Reads and checks these files, in which each resource is one that runs here. Warnings are said; faults are the
/// failure.
pub(crate) fn accepted(files: &[PathBuf]) -> Result<Batch, Failure> {
    let batch = batch(files, read)?;
    batch.warnings.iter().for_each(say::warn);
    if !batch.faults.is_empty() {
        return Err(Failure::faults(&batch.faults));
    }
    Ok(batch)
}

/// Reads and checks these files, whatever comes of it; a `RedisFailover` is a resource too.
pub(crate) fn judged(files: &[PathBuf]) -> Result<Batch, Failure> {
    batch(files, read_with_failovers)
}

fn batch(files: &[PathBuf], read: impl Fn(&[Source<'_>]) -> Batch) -> Result<Batch, Failure> {
    let texts: Vec<(String, String)> = files.iter().map(|file| text_of(file)).collect::<Result<_, _>>()?;
    let sources: Vec<Source<'_>> = texts.iter().map(|(file, text)| Source { file, text }).collect();
    let batch = read(&sources);
    let Batch { accepted, failovers, secrets, warnings: _, faults } = &batch;
    if accepted.is_empty() && failovers.is_empty() && secrets.is_empty() && faults.is_empty() {
        let names: Vec<_> = sources.iter().map(|source| source.file).collect();
        return Err(Failure::new(Code::Fault, format_args!("{}: no resource in it", names.join(", ")))
            .hint("examples/cart.yaml shows a small one, `redoubt schema` all fields"));
    }
    Ok(batch)
}

/// A file's name for messages, and its content.
fn text_of(file: &Path) -> Result<(String, String), Failure> {
    let mut bytes = Vec::new();
    let outcome = if file == Path::new("-") {
        std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|content| content.take(MAX_FILE + 1).read_to_end(&mut bytes))
    };
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    if let Err(error) = outcome {
        return Err(Failure::new(Code::Fault, format_args!("{name}: {error}"))
            .hint("name a file that is there and can be read"));
    }
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::new(Code::Fault, format_args!("{name}: longer than {} MiB", MAX_FILE >> 20))
            .hint("name a file with resources"));
    }
    String::from_utf8(bytes).map(|text| (name.clone(), text)).map_err(|error| {
        Failure::new(Code::Fault, format_args!("{name}: {error}")).hint("name a text file with resources")
    })
}
