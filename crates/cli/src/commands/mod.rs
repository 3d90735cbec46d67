//! What each command does. Printing is in [`crate::print`].

pub(crate) mod about;
pub(crate) mod adopt;
pub(crate) mod cluster;
pub(crate) mod connection;
pub(crate) mod convert;
pub(crate) mod drill;
pub(crate) mod logs;
pub(crate) mod operator;
pub(crate) mod redis_cli;
pub(crate) mod resources;
pub(crate) mod status;
pub(crate) mod switchover;
pub(crate) mod up;
pub(crate) mod validate;
