//! The platform on Kubernetes: every node and Sentinel is a pod with a Service address of its own, and the API server
//! holds what is wanted. The controller watches and never polls; `redoubt operator` is its door.

mod access;
mod adopt;
mod definition;
mod error;
mod feed;
mod leader;
mod manifests;
mod metrics;
mod names;
mod objects;
mod operator;
mod platform;
mod preflight;
mod quota;
mod remote;
mod rival;
mod secrets;
mod serve;
mod stand_in;
mod stores;

pub use adopt::{Adoption, Change, Obstacle, Restart};
pub use error::OperatorError;
pub use manifests::{ManifestOptions, manifests};
pub use names::{Names, labels, ports};
pub use operator::{OperatorOptions, run};
pub use remote::{Published, Remote, RemoteError, RemoteOptions, Tunnel, spelled};
