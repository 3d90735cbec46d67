//! What we know of Redis: connections, and typed views of what servers and Sentinels answer.

pub mod cluster;
pub mod codec;
mod commands;
pub mod conf;
mod connection;
mod connector;
mod endpoint;
mod error;
pub mod info;
pub mod rdb;
pub mod role;
pub mod sentinel;
mod subscription;
mod value;
pub mod version;

pub use connection::Connection;
pub use connector::{Connector, Credentials};
pub use endpoint::{Endpoint, EndpointError};
pub use error::Error;
pub use subscription::{Message, PING_AFTER, PONG_WITHIN, Subscription};
pub use value::{Mismatch, ServerError, Value};
