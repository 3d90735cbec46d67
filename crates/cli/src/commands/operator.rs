//! `redoubt operator`, `crds`, `manifests` and `install`.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use redoubt_kubernetes::{ManifestOptions, OperatorError, OperatorOptions, manifests};

use crate::{
    args::{ManifestsArgs, OperatorArgs},
    failure::{Code, Failure},
    log, runtime, say,
};

/// Works until it is asked to stop.
pub(crate) fn run(args: OperatorArgs) -> Result<(), Failure> {
    log::to_stdout();
    let OperatorArgs { agent_image, namespace, lease_namespace, holder, listen } = args;
    let options = OperatorOptions { agent_image, namespace, lease_namespace, holder, listen };
    runtime::large(async { Ok(redoubt_kubernetes::run(options, runtime::asked_to_end()).await?) })
}

/// Prints the CRDs.
pub(crate) fn crds() -> Result<(), Failure> {
    say::data(&serde_saphyr::to_string(&redoubt_api::crd()).map_err(|error| unwritten(&error))?)
}

/// Prints what installs the operator.
pub(crate) fn install_manifests(args: &ManifestsArgs) -> Result<(), Failure> {
    let default = ManifestOptions::default();
    let options = ManifestOptions {
        namespace: args.namespace.clone().unwrap_or(default.namespace),
        image: args.image.clone().unwrap_or(default.image),
        without_crds: args.without_crds,
    };
    say::data(&manifests(&options).map_err(|error| unwritten(&error))?)
}

fn unwritten(error: &serde_saphyr::SerializeError) -> Failure {
    Failure::new(Code::Failed, format_args!("cannot be written as YAML: {error}"))
}

/// Whole or not at all: a server's container starts after this.
pub(crate) fn install(to: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let beside = to.with_extension("new");
    let copied = fs::copy(&program, &beside)
        .and_then(|_| fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)))
        .and_then(|()| fs::rename(&beside, to));
    copied.map_err(|error| {
        Failure::new(
            Code::Failed,
            format_args!("cannot copy {} to {}: {error}", program.display(), to.display()),
        )
        .hint("check that the folder is there, writable, and not full")
    })
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        Self::new(Code::Failed, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_this_program_and_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("redoubt");
        install(&to).unwrap();
        install(&to).unwrap();
        let own = fs::metadata(std::env::current_exe().unwrap()).unwrap();
        let copy = fs::metadata(&to).unwrap();
        assert_eq!(copy.len(), own.len());
        assert_eq!(copy.permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
