//! Any text is an INFO of some sort; no view of it panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_redis::{info::Info, version::ServerVersion};

fuzz_target!(|text: &str| {
    let info = Info::parse(text);
    let _views = (info.replication(), info.persistence(), info.server(), info.memory(), info.stats());
    let _more = (info.clients(), info.keys(), info.version(), ServerVersion::from_version_output(text));
    assert!(info.fields().count() <= text.lines().count());
});
