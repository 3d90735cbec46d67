//! What a reply may cost, and what is wrong with one.

/// What a reply may cost. A peer that asks for more is not one we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Lists in lists.
    pub depth: usize,
    /// Bytes of a status line, an error or a header.
    pub line: usize,
    /// Bytes of one bulk string.
    pub bulk: usize,
    /// Items of all the lists of a reply together.
    pub items: usize,
    /// Bytes of a reply.
    pub reply: usize,
}

impl Limits {
    /// The deepest reply of a server is COMMAND DOCS, 8 levels; twice that.
    pub const DEPTH: usize = 16;
    /// `PROTO_INLINE_MAX_SIZE` of server.h: the server takes no longer line either.
    pub const LINE: usize = 64 * 1024;
    /// The longest string we ask for is CLIENT LIST: 10,000 clients (`maxclients`) of 400 bytes; four times that.
    pub const BULK: usize = 16 * 1024 * 1024;
    /// CONFIG GET and COMMAND stay under 10,000 items; a hundred times that, at most 40 MiB of `Value`.
    pub const ITEMS: usize = 1024 * 1024;
    /// Four of the longest strings.
    pub const REPLY: usize = 4 * Self::BULK;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: Self::DEPTH,
            line: Self::LINE,
            bulk: Self::BULK,
            items: Self::ITEMS,
            reply: Self::REPLY,
        }
    }
}

/// What came is not RESP, or more than [`Limits`] allows. The stream cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No reply begins like this.
    #[error(
        "a reply cannot begin with byte {0:#04x}: is this a Redis port, and is TLS set as the server has it?"
    )]
    Kind(u8),
    /// A number, a boolean or a length that is none.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A limit was passed.
    #[error("{what} above the limit of {limit}")]
    Limit {
        /// Which.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
}

/// Refuses a value above a limit.
pub(super) fn within(value: usize, limit: usize, what: &'static str) -> Result<(), Fault> {
    if value > limit { Err(Fault::Limit { what, limit }) } else { Ok(()) }
}
