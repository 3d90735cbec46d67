//! RESP2 and RESP3 on the wire (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

mod decode;
mod encode;
mod limits;

pub use decode::Decoder;
pub use encode::encode;
pub use limits::{Fault, Limits};

#[cfg(test)]
mod tests;
