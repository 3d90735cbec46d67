//! Any text is read or refused, never more than that; a fault has a place; what was accepted is accepted again as it is
//! stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_api::{Source, read, read_with_failovers};

fuzz_target!(|text: &str| {
    let batch = read(&[Source { file: "fuzz.yaml", text }]);
    assert!(batch.faults.iter().all(|fault| fault.place.is_some()));
    for accepted in batch.accepted {
        let Ok(stored) = accepted.redis.to_yaml() else { panic!("cannot be stored: {:?}", accepted.redis) };
        let again = read(&[Source { file: "stored.yaml", text: &stored }]);
        assert_eq!(again.accepted, [accepted], "{stored}");
    }
    let batch = read_with_failovers(&[Source { file: "fuzz.yaml", text }]);
    assert!(batch.faults.iter().chain(&batch.warnings).all(|finding| finding.place.is_some()));
    for failover in batch.failovers {
        let Ok(printed) = failover.redis.to_yaml() else { panic!("cannot be printed: {:?}", failover.redis) };
        let again = read(&[Source { file: "printed.yaml", text: &printed }]);
        assert_eq!(again.accepted.len(), 1, "{printed}");
    }
});
