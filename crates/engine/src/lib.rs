//! The brain: what is, what should be, and the steps between.
//!
//! An [`Engine`] has one task for each Redis. It observes a [`World`]; [`plan`] and [`status`] are pure; one step at a
//! time is done. Nothing here knows where members run: that is behind [`platform::Platform`].

mod act;
mod agents;
mod backoff;
mod config;
mod gate;
mod look;
mod plan;
pub mod platform;
#[cfg(test)]
mod props;
mod run;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod sim;
mod status;
mod template;
mod tenant;
mod world;

pub use agents::{AgentLink, Dial, Http};
pub use config::set_config;
pub use plan::{Attempt, Memory, Plan, Progress, Step, Waiting, plan};
pub use run::{Change, Engine};
pub use status::status;
pub use template::template;
pub use tenant::{View, Views};
pub use world::{Counts, MemberView, Observed, World, majority};
