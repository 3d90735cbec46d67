//! The head of an RDB file: its version and the AUX fields, which say whose data it is (rdb.c `rdbSaveInfoAuxFields`).
//! The data itself is not read.

use std::io::{self, Read};

/// How much of a file is looked at. The server's own fields take 200 bytes; modules may add theirs.
pub const HEAD_SIZE: usize = 64 * 1024;

/// Longest AUX field that is kept. A field of the server is at most a replication id of 40 bytes.
const FIELD_SIZE: usize = 4 * 1024;

/// `RDB_OPCODE_AUX`.
const OPCODE_AUX: u8 = 0xfa;

/// What the head of an RDB file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RdbHeader {
    /// Version of the format: 9 is Redis 6.2, 10 is 7.0, 11 is 7.2, 12 is 8.0, 80 is Valkey 9.
    pub version: u32,
    /// Written by this server, as `7.0.15`: `redis-ver` or `valkey-ver`.
    pub server_version: Option<String>,
    /// When it was written, Unix seconds.
    pub ctime: Option<u64>,
    /// Replication history that the data belongs to. Absent where the server had no replica, and in AOF base files.
    pub repl_id: Option<String>,
    /// Offset within that history, bytes.
    pub repl_offset: Option<u64>,
    /// Database that the replication stream had selected.
    pub repl_stream_db: Option<i64>,
    /// The file is the base of an append-only file.
    pub aof_base: bool,
    /// All AUX fields, in their order.
    pub aux: Vec<(String, String)>,
}

/// Why the head of an RDB file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RdbFault {
    /// The file cannot be read.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// It does not begin as an RDB file does.
    #[error("this is not an RDB file: it does not begin with REDIS or VALKEY and a version")]
    Magic,
    /// It ends, or goes on beyond what is looked at, within its head.
    #[error("the head of the RDB file is cut off, or longer than {HEAD_SIZE} bytes")]
    CutOff,
    /// A field is longer than any the servers write, or packed.
    #[error("an AUX field of the RDB file is not of a kind that servers write")]
    Field,
}

impl RdbHeader {
    /// Reads at most [`HEAD_SIZE`] bytes of a file.
    pub fn read(file: impl Read) -> Result<Self, RdbFault> {
        let mut head = Vec::new();
        file.take(HEAD_SIZE as u64).read_to_end(&mut head)?;
        Self::parse(&head)
    }

    /// Reads the head from the first bytes of a file.
    pub fn parse(head: &[u8]) -> Result<Self, RdbFault> {
        let (magic, mut rest) = head.split_at_checked(9).ok_or(RdbFault::Magic)?;
        let mut header = Self { version: format_version(magic).ok_or(RdbFault::Magic)?, ..Self::default() };
        while let Some((&OPCODE_AUX, after)) = rest.split_first() {
            let (name, after) = string(after)?;
            let (value, after) = string(after)?;
            header.keep(name, value);
            rest = after;
        }
        if rest.is_empty() { Err(RdbFault::CutOff) } else { Ok(header) }
    }

    fn keep(&mut self, name: String, value: String) {
        match name.as_str() {
            "redis-ver" | "valkey-ver" => self.server_version = Some(value.clone()),
            "ctime" => self.ctime = value.parse().ok(),
            "repl-id" => self.repl_id = Some(value.clone()),
            "repl-offset" => self.repl_offset = value.parse().ok(),
            "repl-stream-db" => self.repl_stream_db = value.parse().ok(),
            // The second is 6.2's name.
            "aof-base" | "aof-preamble" => self.aof_base = value == "1",
            _ => {}
        }
        self.aux.push((name, value));
    }
}

/// `REDIS0011` or `VALKEY080`.
fn format_version(magic: &[u8]) -> Option<u32> {
    let digits = magic.strip_prefix(b"REDIS").or_else(|| magic.strip_prefix(b"VALKEY"))?;
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// A string in one of the encodings that AUX fields have: bytes behind a length, or a small integer.
fn string(bytes: &[u8]) -> Result<(String, &[u8]), RdbFault> {
    let (&first, rest) = bytes.split_first().ok_or(RdbFault::CutOff)?;
    let (length, rest) = match first >> 6 {
        0b00 => (usize::from(first & 0x3f), rest),
        0b01 => {
            let ([low], rest) = take(rest)?;
            (usize::from(first & 0x3f) << 8 | usize::from(low), rest)
        }
        0b10 if first == 0x80 => {
            let (length, rest) = take(rest)?;
            (u32::from_be_bytes(length) as usize, rest)
        }
        0b11 => return integer(first & 0x3f, rest),
        _ => return Err(RdbFault::Field),
    };
    if length > FIELD_SIZE {
        return Err(RdbFault::Field);
    }
    let (text, rest) = rest.split_at_checked(length).ok_or(RdbFault::CutOff)?;
    Ok((String::from_utf8_lossy(text).into_owned(), rest))
}

/// An integer of 8, 16 or 32 bits, little endian.
fn integer(kind: u8, rest: &[u8]) -> Result<(String, &[u8]), RdbFault> {
    match kind {
        0 => take(rest).map(|(bytes, rest)| (i8::from_le_bytes(bytes).to_string(), rest)),
        1 => take(rest).map(|(bytes, rest)| (i16::from_le_bytes(bytes).to_string(), rest)),
        2 => take(rest).map(|(bytes, rest)| (i32::from_le_bytes(bytes).to_string(), rest)),
        _ => Err(RdbFault::Field),
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), RdbFault> {
    bytes.split_first_chunk().map(|(head, rest)| (*head, rest)).ok_or(RdbFault::CutOff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn aux(name: &str, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(name.len()).unwrap();
        [&[OPCODE_AUX, length], name.as_bytes(), value].concat()
    }

    #[test]
    fn every_encoding_of_a_field_is_read() {
        let text = [&[0x40, 70][..], &[b'x'; 70]].concat();
        let long = [&[0x80, 0, 0, 0, 2][..], b"ab"].concat();
        let head = [
            b"VALKEY080".to_vec(),
            aux("a", &[0xc0, 0xff]),
            aux("repl-offset", &[0xc1, 0x00, 0x01]),
            aux("ctime", &[0xc2, 0, 0, 1, 0]),
            aux("t", &text),
            aux("l", &long),
            vec![0xfe, 0x00],
        ]
        .concat();
        let header = RdbHeader::parse(&head).unwrap();
        assert_eq!((header.version, header.repl_offset, header.ctime), (80, Some(256), Some(65536)));
        let values: Vec<&str> = header.aux.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!((values[0], values[4]), ("-1", "ab"));
        assert_eq!(values[3], "x".repeat(70));
    }

    #[test]
    fn what_is_no_rdb_file_is_told_from_one_that_is_cut_off() {
        let magic = |head: &[u8]| matches!(RdbHeader::parse(head), Err(RdbFault::Magic));
        assert!(magic(b"") && magic(b"REDIS") && magic(b"REDIS00x1\xff") && magic(b"*1\r\n$4\r\nPING"));
        let whole = [b"REDIS0011".to_vec(), aux("repl-id", b"\x03abc")].concat();
        for end in 9..=whole.len() {
            assert!(matches!(RdbHeader::parse(&whole[..end]), Err(RdbFault::CutOff)), "{end}");
        }
        let packed = [b"REDIS0011".to_vec(), aux("a", &[0xc3, 1, 1, 0])].concat();
        assert!(matches!(RdbHeader::parse(&packed), Err(RdbFault::Field)));
    }

    proptest! {
        #[test]
        fn no_head_makes_it_panic(tail in prop::collection::vec(any::<u8>(), 0..64)) {
            let head = [b"REDIS0011\xfa".as_slice(), &tail].concat();
            let _outcome = RdbHeader::parse(&head);
        }
    }
}
