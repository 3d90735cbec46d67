//! Any bytes, cut anywhere, give the same replies and views, or a fault; never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_redis::{
    Value,
    codec::{Decoder, Fault},
    role::Role,
    sentinel::{MasterView, ReplicaView, SentinelView, Vote},
};

fn decode(pieces: &[&[u8]]) -> (Vec<Value>, Option<Fault>) {
    let mut decoder = Decoder::default();
    let mut values = Vec::new();
    for piece in pieces {
        decoder.buffer_mut().extend_from_slice(piece);
        loop {
            match decoder.next_value() {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(fault) => return (values, Some(fault)),
            }
        }
    }
    (values, None)
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let (head, tail) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let (values, fault) = decode(&[bytes]);
    // NaN differs from itself, so the text is compared.
    assert_eq!(format!("{:?}", decode(&[head, tail])), format!("{:?}", (&values, fault)));
    for value in values {
        let _views = (
            Role::from_value(value.clone()),
            Vote::from_value(&value),
            MasterView::from_value(value.clone()),
            ReplicaView::from_value(value.clone()),
            SentinelView::from_value(value),
        );
    }
});
