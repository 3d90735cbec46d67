//! Processes as Linux shows them: `/proc` and process file descriptors.

use std::{
    fs, io,
    net::SocketAddrV4,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use super::{ProcessId, pid_of};

/// A process that is not our child.
#[derive(Debug)]
pub(crate) struct Adopted {
    id: ProcessId,
    // Becomes readable when the process ends.
    handle: AsyncFd<OwnedFd>,
}

impl Adopted {
    /// `None` when it does not run any more.
    pub(crate) fn open(id: &ProcessId) -> io::Result<Option<Self>> {
        let handle = match pidfd_open(pid_of(id.pid)?, PidfdFlags::NONBLOCK) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at behind the handle: from here on the number cannot come to mean another process.
        if !id.is_alive() {
            return Ok(None);
        }
        let handle = redoubt_supervise::watch_descriptor(handle)?;
        Ok(Some(Self { id: id.clone(), handle }))
    }

    pub(crate) fn id(&self) -> &ProcessId {
        &self.id
    }

    pub(crate) async fn ended(&self) {
        // Stays readable for ever, so that asking again is answered at once.
        if let Err(error) = self.handle.readable().await {
            tracing::warn!(pid = self.id.pid, %error, "a process cannot be watched; it counts as ended");
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.handle, signal)?)
    }
}

/// The process that has this number now, with when it started: boot and clock ticks since.
pub(super) fn identify(pid: u32) -> Option<ProcessId> {
    let stat = fs::read_to_string(proc(pid).join("stat")).ok()?;
    let ticks = start_ticks(&stat)?;
    Some(ProcessId { pid, start: Some(format!("{}:{ticks}", boot_id())) })
}

/// Field 22 of `/proc/PID/stat` (proc(5)); `None` for a process that waits to be collected.
fn start_ticks(stat: &str) -> Option<&str> {
    // The second field is the program's name in parentheses, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(22 - 4)
}

/// Ticks alone would come again after a restart of the machine.
fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

/// The process that has these arguments, one after the other, in its command line.
pub(crate) fn find(arguments: &[String]) -> Option<ProcessId> {
    let wanted = format!("\0{}\0", arguments.join("\0")).into_bytes();
    let has = |line: &[u8]| line.windows(wanted.len()).any(|part| part == wanted);
    let found = numbers().find(|pid| fs::read(proc(*pid).join("cmdline")).is_ok_and(|line| has(&line)))?;
    ProcessId::of(found)
}

/// What a process calls itself.
pub(crate) fn name_of(pid: u32) -> Option<String> {
    fs::read_to_string(proc(pid).join("comm")).ok().map(|name| name.trim().to_owned())
}

/// The process that listens on this address, as far as we may see.
pub(crate) fn listener(address: SocketAddrV4) -> Option<u32> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let socket = format!("socket:[{}]", table.lines().find_map(|line| listening_inode(line, address))?);
    numbers().find(|pid| holds(*pid, Path::new(&socket)))
}

/// A line of `/proc/net/tcp` (proc(5)): addresses in the machine's byte order, state 0A listens.
fn listening_inode(line: &str, address: SocketAddrV4) -> Option<&str> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (host, port) = fields.get(1)?.split_once(':')?;
    let host = u32::from_str_radix(host, 16).ok()?.to_ne_bytes();
    let port = u16::from_str_radix(port, 16).ok()?;
    let same = (host == address.ip().octets() || host == [0; 4]) && port == address.port();
    if same && *fields.get(3)? == "0A" { fields.get(9).copied() } else { None }
}

fn holds(pid: u32, socket: &Path) -> bool {
    let Ok(handles) = fs::read_dir(proc(pid).join("fd")) else { return false };
    handles.filter_map(Result::ok).any(|handle| fs::read_link(handle.path()).is_ok_and(|to| to == socket))
}

fn numbers() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn proc(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let after = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_ticks(&format!("12 (a) b (c) {after}")), Some("4711"));
        assert_eq!(start_ticks("12 (gone) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"), None);
        assert_eq!(start_ticks("12 (short) S 1"), None);
    }

    #[test]
    fn who_listens_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("not IPv4") };
        assert_eq!(super::listener(address), Some(std::process::id()));
        drop(listener);
        assert_eq!(super::listener(address), None);
    }

    #[test]
    fn a_process_is_found_by_its_whole_arguments_only() {
        let odd = "600.0625";
        let mut child = std::process::Command::new("sleep").arg(odd).spawn().unwrap();
        // exec may still be under way: the command line is the parent's until then.
        let found = (0..1000).find_map(|_| {
            std::thread::yield_now();
            find(&[odd.to_owned()])
        });
        let other = find(&[odd[1..].to_owned()]);
        let pid = child.id();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.unwrap().pid, pid);
        assert_eq!(other, None);
    }
}
