//! What is promised to users, each kept on real servers.

mod beginning;
mod config;
mod data;
mod death;
mod drills;
mod handover;
mod many;
mod outage;
mod pace;
mod recovery;
mod scaling;
mod surroundings;
