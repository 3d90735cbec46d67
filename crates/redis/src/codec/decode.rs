//! Replies, byte by byte as they come.
//!
//! Unfinished lists lie on a stack of their own, so nesting costs no call stack and no byte is looked at twice.

use bytes::{Buf, BytesMut};

use super::limits::{Fault, Limits, within};
use crate::value::{ServerError, Value, pair_up};

/// Turns bytes into replies.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    limits: Limits,
    open: Vec<Open>,
    bulk: Option<(BulkKind, usize)>,
    /// Bytes at the start of `buffer` that hold no end of line.
    scanned: usize,
    /// Bytes and items of the reply under way.
    bytes: usize,
    items: usize,
}

/// A list that waits for items.
#[derive(Debug)]
struct Open {
    kind: ListKind,
    missing: usize,
    items: Vec<Value>,
}

#[derive(Debug, Clone, Copy)]
enum ListKind {
    Array,
    Map,
    Push,
    Attribute,
}

#[derive(Debug, Clone, Copy)]
enum BulkKind {
    Plain,
    Verbatim,
    Error,
}

/// What one header line, or one string, gives.
enum Token {
    Leaf(Value),
    List(ListKind, usize),
    Bulk(BulkKind, usize),
}

/// Capacity an idle decoder may keep, bytes: an INFO reply. The agents have 8 MiB in all.
const IDLE_CAPACITY: usize = 16 * 1024;

/// Least room for one read, bytes: an INFO reply takes two or three.
const READ_SIZE: usize = 4 * 1024;

/// Items that are made room for before they arrive.
const RESERVED_ITEMS: usize = 256;

impl Decoder {
    /// A decoder with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Where new bytes go, at the end, with room for one read.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        self.buffer.reserve(READ_SIZE);
        &mut self.buffer
    }

    /// The next whole reply, `None` while bytes are missing. After a fault the decoder is of no use any more.
    pub fn next_value(&mut self) -> Result<Option<Value>, Fault> {
        while let Some(token) = self.token()? {
            let value = match token {
                Token::Leaf(value) => Some(value),
                Token::List(kind, length) => self.open(kind, length)?,
                Token::Bulk(kind, length) => {
                    self.bulk = Some((kind, length));
                    None
                }
            };
            if let Some(reply) = value.and_then(|value| self.place(value)) {
                self.finish();
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    fn token(&mut self) -> Result<Option<Token>, Fault> {
        if let Some((kind, length)) = self.bulk {
            return Ok(self.take_bulk(kind, length)?.map(Token::Leaf));
        }
        let Some(line) = self.take_line()? else { return Ok(None) };
        let Some((&kind, rest)) = line.split_first() else { return Err(Fault::Malformed("empty line")) };
        self.interpret(kind, rest).map(Some)
    }

    fn interpret(&self, kind: u8, rest: &[u8]) -> Result<Token, Fault> {
        let leaf = |value| Ok(Token::Leaf(value));
        match kind {
            b'+' => leaf(Value::Simple(text(rest))),
            b'-' => leaf(Value::Error(ServerError::parse(&text(rest)))),
            b':' => leaf(Value::Integer(number(rest, "integer")?)),
            b'_' => leaf(Value::Null),
            b'#' => leaf(Value::Bool(boolean(rest)?)),
            b',' => leaf(Value::Double(number(rest, "double")?)),
            b'(' => leaf(Value::BigNumber(big_number(rest)?)),
            b'$' => self.bulk_header(BulkKind::Plain, rest),
            b'=' => self.bulk_header(BulkKind::Verbatim, rest),
            b'!' => self.bulk_header(BulkKind::Error, rest),
            b'*' | b'~' => self.list_header(ListKind::Array, rest),
            b'%' => self.list_header(ListKind::Map, rest),
            b'>' => self.list_header(ListKind::Push, rest),
            b'|' => self.list_header(ListKind::Attribute, rest),
            other => Err(Fault::Kind(other)),
        }
    }

    fn bulk_header(&self, kind: BulkKind, rest: &[u8]) -> Result<Token, Fault> {
        let Some(length) = length(rest)? else { return Ok(Token::Leaf(Value::Null)) };
        within(length, self.limits.bulk, "length of a string")?;
        Ok(Token::Bulk(kind, length))
    }

    fn list_header(&self, kind: ListKind, rest: &[u8]) -> Result<Token, Fault> {
        let Some(length) = length(rest)? else { return Ok(Token::Leaf(Value::Null)) };
        within(length, self.limits.items, "length of a list")?;
        let per_entry = if matches!(kind, ListKind::Map | ListKind::Attribute) { 2 } else { 1 };
        Ok(Token::List(kind, length.saturating_mul(per_entry)))
    }

    /// Opens a list; an empty one is complete at once.
    fn open(&mut self, kind: ListKind, length: usize) -> Result<Option<Value>, Fault> {
        within(self.open.len() + 1, self.limits.depth, "nesting of lists")?;
        self.items = self.items.saturating_add(length);
        within(self.items, self.limits.items, "number of items")?;
        if length == 0 {
            return Ok(kind.close(Vec::new()));
        }
        let items = Vec::with_capacity(length.min(RESERVED_ITEMS));
        self.open.push(Open { kind, missing: length, items });
        Ok(None)
    }

    /// Puts a complete value into the list that waits for it; gives it back when none does.
    fn place(&mut self, value: Value) -> Option<Value> {
        let mut value = value;
        loop {
            let Some(top) = self.open.last_mut() else { return Some(value) };
            top.items.push(value);
            top.missing -= 1;
            if top.missing > 0 {
                return None;
            }
            let closed = self.open.pop()?;
            value = closed.kind.close(closed.items)?;
        }
    }

    fn take_line(&mut self) -> Result<Option<BytesMut>, Fault> {
        let Some(found) = self.buffer[self.scanned..].iter().position(|&byte| byte == b'\n') else {
            self.scanned = self.buffer.len();
            within(self.scanned, self.limits.line, "length of a line")?;
            return Ok(None);
        };
        let end = self.scanned + found + 1;
        within(end, self.limits.line, "length of a line")?;
        self.scanned = 0;
        self.count(end)?;
        let mut line = self.buffer.split_to(end);
        if !line.ends_with(b"\r\n") {
            return Err(Fault::Malformed("end of line"));
        }
        line.truncate(end - 2);
        Ok(Some(line))
    }

    fn take_bulk(&mut self, kind: BulkKind, length: usize) -> Result<Option<Value>, Fault> {
        let whole = length.saturating_add(2);
        if self.buffer.len() < whole {
            return Ok(None);
        }
        self.bulk = None;
        self.count(whole)?;
        let content = self.buffer.split_to(length).freeze();
        if !self.buffer.starts_with(b"\r\n") {
            return Err(Fault::Malformed("end of a string"));
        }
        self.buffer.advance(2);
        Ok(Some(match kind {
            BulkKind::Plain => Value::Bulk(content),
            // `txt:` or `mkd:` before the text.
            BulkKind::Verbatim if length >= 4 => Value::Bulk(content.slice(4..)),
            BulkKind::Verbatim => return Err(Fault::Malformed("verbatim string")),
            BulkKind::Error => Value::Error(ServerError::parse(&text(&content))),
        }))
    }

    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        within(self.bytes, self.limits.reply, "size of a reply")
    }

    fn finish(&mut self) {
        // The storage of a long reply would be used again, and kept, once its strings are dropped.
        if self.buffer.is_empty() && self.bytes > IDLE_CAPACITY {
            self.buffer = BytesMut::new();
        }
        self.bytes = 0;
        self.items = 0;
    }
}

impl ListKind {
    /// The list as a value; nothing for an attribute, which only precedes one.
    fn close(self, items: Vec<Value>) -> Option<Value> {
        match self {
            Self::Array => Some(Value::Array(items)),
            Self::Map => Some(Value::Map(pair_up(items))),
            Self::Push => Some(Value::Push(items)),
            Self::Attribute => None,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number<T: std::str::FromStr>(bytes: &[u8], what: &'static str) -> Result<T, Fault> {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(Fault::Malformed(what))
}

/// A length; `None` for the -1 by which RESP2 says null.
fn length(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    if bytes == b"-1" { Ok(None) } else { number(bytes, "length").map(Some) }
}

fn boolean(bytes: &[u8]) -> Result<bool, Fault> {
    match bytes {
        b"t" => Ok(true),
        b"f" => Ok(false),
        _ => Err(Fault::Malformed("boolean")),
    }
}

fn big_number(bytes: &[u8]) -> Result<String, Fault> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Malformed("big number"));
    }
    Ok(text(bytes))
}
