//! Replies cut anywhere, bytes that are no replies, and the limits.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::value::{ServerError, Value};

/// The reply as a server writes it (RESP3).
fn wire(value: &Value) -> Vec<u8> {
    let list = |kind: char, length: usize, items: Vec<&Value>| {
        let mut out = format!("{kind}{length}\r\n").into_bytes();
        out.extend(items.into_iter().flat_map(wire));
        out
    };
    match value {
        Value::Simple(text) => format!("+{text}\r\n").into_bytes(),
        Value::Error(error) => format!("-{} {}\r\n", error.code, error.message).into_bytes(),
        Value::Integer(number) => format!(":{number}\r\n").into_bytes(),
        Value::Bulk(bytes) => [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
        Value::Null => b"_\r\n".to_vec(),
        Value::Array(items) => list('*', items.len(), items.iter().collect()),
        Value::Map(pairs) => list('%', pairs.len(), pairs.iter().flat_map(|(k, v)| [k, v]).collect()),
        Value::Double(number) => format!(",{number}\r\n").into_bytes(),
        Value::Bool(yes) => format!("#{}\r\n", if *yes { 't' } else { 'f' }).into_bytes(),
        Value::BigNumber(digits) => format!("({digits}\r\n").into_bytes(),
        Value::Push(items) => list('>', items.len(), items.iter().collect()),
    }
}

fn replies() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[^\r\n]{0,20}".prop_map(Value::Simple),
        ("[A-Z]{1,8}", "[a-z ]{0,20}")
            .prop_map(|(code, message)| Value::Error(ServerError { code, message })),
        any::<i64>().prop_map(Value::Integer),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bulk(bytes.into())),
        Just(Value::Null),
        prop::num::f64::NORMAL.prop_map(Value::Double),
        any::<bool>().prop_map(Value::Bool),
        "-?[0-9]{1,40}".prop_map(Value::BigNumber),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Map),
            vec(inner, 0..6).prop_map(Value::Push),
        ]
    })
}

/// Feeds the bytes in pieces of these sizes, over and over, and takes all replies.
fn decode(bytes: &[u8], sizes: &[usize], limits: Limits) -> Result<Vec<Value>, Fault> {
    let mut decoder = Decoder::new(limits);
    let mut values = Vec::new();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        decoder.buffer_mut().extend_from_slice(piece);
        while let Some(value) = decoder.next_value()? {
            values.push(value);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    Ok(values)
}

fn decode_whole(bytes: &[u8]) -> Result<Vec<Value>, Fault> {
    decode(bytes, &[bytes.len().max(1)], Limits::default())
}

proptest! {
    #[test]
    fn replies_come_whole_wherever_the_stream_is_cut(
        values in vec(replies(), 1..4), sizes in vec(1_usize..12, 1..6),
    ) {
        let bytes: Vec<u8> = values.iter().flat_map(wire).collect();
        prop_assert_eq!(decode(&bytes, &sizes, Limits::default()), Ok(values));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..80), sizes in vec(1_usize..9, 1..4)) {
        let _outcome = decode(&bytes, &sizes, Limits::default());
    }

    #[test]
    fn nothing_that_looks_like_resp_makes_it_panic(text in "([+$*%>|=!:,#(_~-][0-9tf-]{0,3}\r\n[a-z]{0,3}){0,8}") {
        let _outcome = decode(text.as_bytes(), &[3], Limits::default());
    }

    #[test]
    fn what_is_read_does_not_depend_on_the_cuts(text in "([+$*%>|=!:,#(_~-][0-9t]{0,2}\r\n[a-z]{0,2}(\r\n)?){0,8}") {
        let whole = decode_whole(text.as_bytes());
        prop_assert_eq!(decode(text.as_bytes(), &[1], Limits::default()), whole);
    }

    #[test]
    fn a_command_is_read_back_as_a_list_of_strings(args in vec(vec(any::<u8>(), 0..20), 1..5)) {
        let mut out = bytes::BytesMut::new();
        encode(&args, &mut out);
        let list = args.into_iter().map(|arg| Value::Bulk(arg.into())).collect();
        prop_assert_eq!(decode_whole(&out), Ok(vec![Value::Array(list)]));
    }
}

#[test]
fn the_rarer_forms_are_read() {
    let cases: [(&str, Value); 7] = [
        ("$-1\r\n", Value::Null),
        ("*-1\r\n", Value::Null),
        ("=7\r\ntxt:abc\r\n", Value::bulk("abc")),
        ("!7\r\nERR bad\r\n", Value::Error(ServerError::parse("ERR bad"))),
        ("~1\r\n+a\r\n", Value::Array(vec![Value::Simple("a".to_owned())])),
        ("|1\r\n+ttl\r\n:3\r\n:7\r\n", Value::Integer(7)),
        (",inf\r\n", Value::Double(f64::INFINITY)),
    ];
    for (text, value) in cases {
        assert_eq!(decode_whole(text.as_bytes()), Ok(vec![value]), "{text}");
    }
}

#[test]
fn an_attribute_within_a_list_is_no_item() {
    let decoded = decode_whole(b"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n|0\r\n:3\r\n").unwrap();
    let list = Value::Array(vec![Value::Integer(1), Value::Integer(2)]);
    assert_eq!(decoded, [list, Value::Integer(3)]);
}

#[test]
fn what_is_no_reply_says_why() {
    let fault = |text: &[u8]| decode_whole(text).unwrap_err();
    assert_eq!(fault(b"HTTP/1.1 400 Bad Request\r\n"), Fault::Kind(b'H'));
    assert_eq!(fault(&[0x15, 0x03, 0x03, 0x00, b'\r', b'\n']), Fault::Kind(0x15));
    for text in [":1x\r\n", "$-2\r\n", "$1\r\nabc\r\n", "#x\r\n", "(1.5\r\n", "+a\n", "\r\n", "=3\r\nabc\r\n"]
    {
        assert!(matches!(fault(text.as_bytes()), Fault::Malformed(_)), "{text:?}");
    }
}

#[test]
fn every_limit_is_kept() {
    let limits = Limits { depth: 3, line: 20, bulk: 10, items: 5, reply: 40 };
    let refused = |text: &str| match decode(text.as_bytes(), &[4], limits) {
        Err(Fault::Limit { what, .. }) => what,
        other => panic!("{text:?} gave {other:?}"),
    };
    assert_eq!(refused("*1\r\n*1\r\n*1\r\n*1\r\n"), "nesting of lists");
    assert_eq!(refused("+aaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "length of a line");
    assert_eq!(refused("$11\r\n"), "length of a string");
    assert_eq!(refused("*6\r\n"), "length of a list");
    assert_eq!(refused("*2\r\n*4\r\n"), "number of items");
    assert_eq!(refused("%3\r\n"), "number of items");
    let long = "+aaaaaaaaaaaaaa\r\n";
    assert_eq!(refused(&format!("*3\r\n{long}{long}{long}")), "size of a reply");
    assert_eq!(decode(format!("{long}{long}{long}").as_bytes(), &[4], limits).unwrap().len(), 3);
    assert!(decode(b"$9999999999999999999999\r\n", &[4], Limits { line: 40, ..limits }).is_err());
    assert!(decode_whole(b"*18446744073709551615\r\n").is_err());
}

#[test]
fn an_idle_decoder_keeps_no_big_buffer() {
    let mut decoder = Decoder::default();
    let big = Value::Bulk(vec![b'x'; 1 << 20].into());
    decoder.buffer_mut().extend_from_slice(&wire(&big));
    assert_eq!(decoder.next_value(), Ok(Some(big)));
    assert!(decoder.buffer_mut().capacity() < 64 * 1024);
}
