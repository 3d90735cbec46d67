//! A link with a round-trip time: whatever is sent arrives half of it later, and nothing else changes.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::Result;

/// Chunks on their way. At 64 KiB each this is far more than a millisecond carries.
const ON_THE_WAY: usize = 4096;

/// Has connections to `at` end at `to`. The threads end with the process.
pub(crate) fn link(at: SocketAddr, to: SocketAddr, round_trip: Duration) -> Result<()> {
    let listener = TcpListener::bind(at)?;
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            // A peer that is gone shows as a connection that ends at once.
            let Ok(far) = TcpStream::connect(to) else { continue };
            let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else { continue };
            carry(near, far_too, round_trip / 2);
            carry(far, near_too, round_trip / 2);
        }
    });
    Ok(())
}

/// One direction. Threads rather than a runtime, whose timers are no finer than a millisecond.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (chunks, arriving) = mpsc::sync_channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if chunks.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, chunk) in arriving {
            #[expect(clippy::disallowed_methods, reason = "this is the delay")]
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&chunk).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
