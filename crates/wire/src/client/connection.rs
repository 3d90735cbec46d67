//! One keep-alive connection to an agent.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use redoubt_redis::Endpoint;
use tokio::{net::TcpStream, task::JoinHandle};

/// Ends with its driver; dropping it closes the socket, so that an abandoned long poll ends at the agent too.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

/// A request that failed, and the request itself if not one byte of it was sent.
pub(super) struct SendError {
    pub(super) why: String,
    pub(super) unsent: Option<Request<Full<Bytes>>>,
}

impl Connection {
    pub(super) async fn open(agent: &Endpoint) -> Result<Self, String> {
        let stream =
            TcpStream::connect((agent.host.as_str(), agent.port)).await.map_err(|error| error.to_string())?;
        // Requests are one small write: waiting for more costs 40 ms and gains nothing.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to an agent ended");
            }
        });
        Ok(Self { sender, driver })
    }

    /// A next request can go out on it.
    pub(super) async fn is_reusable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        self.sender
            .try_send_request(request)
            .await
            .map_err(|mut error| SendError { unsent: error.take_message(), why: with_causes(error.error()) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// hyper keeps the interesting half (`connection reset by peer`) in the source.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
