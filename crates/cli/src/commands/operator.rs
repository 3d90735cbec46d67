//! `redoubt operator`, `crds` and `manifests`.

use redoubt_kubernetes::{ManifestOptions, OperatorError, OperatorOptions, manifests};

use crate::{
    args::{CrdsArgs, ManifestsArgs, OperatorArgs},
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
pub(crate) fn crds(args: &CrdsArgs) -> Result<(), Failure> {
    let crd = if args.redisfailover { redoubt_api::failover_crd() } else { redoubt_api::crd() };
    say::data(&serde_saphyr::to_string(&crd).map_err(|error| unwritten(&error))?)
}

/// Prints what installs the operator.
pub(crate) fn install_manifests(args: &ManifestsArgs) -> Result<(), Failure> {
    let default = ManifestOptions::default();
    let options = ManifestOptions {
        namespace: args.namespace.clone().unwrap_or(default.namespace),
        image: args.image.clone().unwrap_or(default.image),
        watch: args.watch.clone(),
        without_crds: args.without_crds,
    };
    say::data(&manifests(&options).map_err(|error| unwritten(&error))?)
}

fn unwritten(error: &serde_saphyr::SerializeError) -> Failure {
    Failure::new(Code::Failed, format_args!("cannot be written as YAML: {error}"))
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        Self::new(Code::Failed, error)
    }
}
