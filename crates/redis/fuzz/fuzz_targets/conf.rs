//! A file that can be read comes back as it was; its words, written anew, are the same words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_redis::conf::{ConfFile, join, split};

fuzz_target!(|text: &str| {
    let Ok(file) = text.parse::<ConfFile>() else { return };
    let written: String = text.lines().map(|line| format!("{line}\n")).collect();
    assert_eq!(file.to_string(), written);
    for words in file.directives() {
        assert_eq!(split(&join(words)).as_deref(), Ok(words));
    }
});
