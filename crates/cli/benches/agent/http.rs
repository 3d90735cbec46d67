//! One kept HTTP/1.1 connection, as Prometheus has it.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::{Duration, Instant},
};

use crate::Result;

/// Programs start within seconds, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Connects as soon as somebody listens there.
    pub(crate) fn open(at: &str) -> Result<Self> {
        let address = at.to_socket_addrs()?.next().ok_or("no address")?;
        let end = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    return Ok(Self { stream: BufReader::new(stream), host: at.to_owned() });
                }
                Err(error) if Instant::now() > end => return Err(format!("{at}: {error}").into()),
                Err(_) => pause(),
            }
        }
    }

    /// The body of a successful answer.
    pub(crate) fn get(&mut self, path: &str) -> Result<String> {
        let (status, body) = self.ask(path)?;
        if status == 200 { Ok(body) } else { Err(format!("{}{path}: {status} {body}", self.host).into()) }
    }

    /// Status and body.
    pub(crate) fn ask(&mut self, path: &str) -> Result<(u16, String)> {
        write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host)?;
        let status = self.line()?.get(9..12).ok_or("no status")?.parse()?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let header = self.line()?.to_ascii_lowercase();
            match header.split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse()?,
                Some(("transfer-encoding", value)) => chunked = value == "chunked",
                Some(_) => {}
            }
        }
        let body = if chunked { self.chunks()? } else { self.bytes(length)? };
        Ok((status, String::from_utf8(body)?))
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            body.extend(self.bytes(length)?);
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(format!("{} closed the connection", self.host).into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// Asks this path until the answer is 200.
pub(crate) fn wait_for_ok(at: &str, path: &str) -> Result<()> {
    let mut connection = Connection::open(at)?;
    let end = Instant::now() + PATIENCE;
    loop {
        let (status, body) = connection.ask(path)?;
        if status == 200 {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("{at}{path} still says {status}: {body}").into());
        }
        pause();
    }
}

fn pause() {
    #[allow(clippy::disallowed_methods, reason = "no runtime here, and another process tells of no event")]
    std::thread::sleep(Duration::from_millis(20));
}
