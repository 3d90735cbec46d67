//! What the engine and the agents say to each other: the configuration of a set, the state of an agent,
//! and the HTTP client for an agent's port 9121.
//!
//! The configuration travels as a file (a ConfigMap on Kubernetes, a file on one machine), so that agents need
//! nobody to start. The state travels over HTTP. Both carry [`API_VERSION`]; readers ignore fields they do not
//! know, so that an engine works with agents one version older and newer.

pub mod client;
pub mod config;
pub mod failover;
pub mod requests;
pub mod secrets;
pub mod state;

/// Version of everything in this crate. Raised only when an older reader would misunderstand a newer writer.
pub const API_VERSION: u32 = 1;

/// Default port of an agent: metrics, health and state.
pub const AGENT_PORT: u16 = 9121;
