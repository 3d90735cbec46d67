//! Any text is read or refused, never more than that; a fault has a place; what was accepted is accepted again as it is
//! stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_api::{Source, read};

fuzz_target!(|text: &str| {
    let batch = read(&[Source { file: "fuzz.yaml", text }]);
    assert!(batch.faults.iter().all(|fault| fault.place.is_some()));
    for accepted in batch.accepted {
        let Ok(stored) = accepted.redis.to_yaml() else { panic!("cannot be stored: {:?}", accepted.redis) };
        let again = read(&[Source { file: "stored.yaml", text: &stored }]);
        assert_eq!(again.accepted, [accepted], "{stored}");
    }
});
