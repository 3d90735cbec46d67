//! Hellos and published messages: what is read is written as it came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_redis::{
    Message,
    sentinel::{CHANNELS, Event, Hello},
};

fuzz_target!(|text: &str| {
    if let Ok(hello) = text.parse::<Hello>() {
        assert_eq!(hello.to_string().parse::<Hello>(), Ok(hello));
    }
    for channel in CHANNELS {
        let message = Message { channel: channel.to_owned(), payload: text.to_owned().into() };
        let _event = Event::read(&message);
    }
});
