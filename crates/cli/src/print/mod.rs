//! Text for people and data for programs, made from values; nothing is done here.

pub(crate) mod adoption;
pub(crate) mod amount;
pub(crate) mod connection;
pub(crate) mod drill;
pub(crate) mod log;
pub(crate) mod report;
pub(crate) mod table;
