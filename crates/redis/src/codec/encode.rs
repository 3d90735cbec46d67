//! Commands as the server reads them.

use bytes::BytesMut;

/// Appends one command: an array of bulk strings.
pub fn encode(args: &[impl AsRef<[u8]>], out: &mut BytesMut) {
    header(b'*', args.len(), out);
    for arg in args {
        let arg = arg.as_ref();
        header(b'$', arg.len(), out);
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

fn header(kind: u8, length: usize, out: &mut BytesMut) {
    out.extend_from_slice(&[kind]);
    out.extend_from_slice(length.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut out = BytesMut::new();
        encode(&[b"SET".as_slice(), b"k", b"a\r\nb"], &mut out);
        assert_eq!(&out[..], b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n");
    }
}
