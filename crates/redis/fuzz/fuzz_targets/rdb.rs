//! Any bytes are an RDB head or a fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_redis::rdb::RdbHeader;

fuzz_target!(|bytes: &[u8]| {
    let _header = RdbHeader::parse(bytes);
});
