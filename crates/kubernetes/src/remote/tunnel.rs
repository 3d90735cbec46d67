//! A port of this machine that leads to a port of a pod, by way of the API server.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use redoubt_redis::Endpoint;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

use super::RemoteError;

/// Closed, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Tunnel {
    endpoint: Endpoint,
    fault: Arc<Mutex<Option<String>>>,
    _task: AbortOnDropHandle<()>,
}

impl Tunnel {
    pub(super) async fn open(pods: Api<Pod>, pod: String, port: u16) -> Result<Self, RemoteError> {
        let unbound = |error: std::io::Error| RemoteError::Refused {
            what: format!("no port of this machine can lead to {pod}:{port}"),
            why: error.to_string(),
            next: "see whether 127.0.0.1 is there, and whether ports are left".to_owned(),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        let fault = Arc::new(Mutex::new(None));
        let task = tokio::spawn(lead(listener, pods, pod, port, Arc::clone(&fault)));
        Ok(Self {
            endpoint: Endpoint::new(address.ip().to_string(), address.port()),
            fault,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Where it begins.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Why the last connection did not get through, if it did not: whoever connected saw no more than its end.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn lead(
    listener: TcpListener,
    pods: Api<Pod>,
    pod: String,
    port: u16,
    fault: Arc<Mutex<Option<String>>>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let (pods, pod, fault) = (pods.clone(), pod.clone(), Arc::clone(&fault));
                connections.spawn(async move {
                    let outcome = forward(stream, &pods, &pod, port).await;
                    *fault.lock().unwrap_or_else(PoisonError::into_inner) = outcome.err();
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Until one side has closed.
async fn forward(mut stream: TcpStream, pods: &Api<Pod>, pod: &str, port: u16) -> Result<(), String> {
    let mut forwarder = pods.portforward(pod, &[port]).await.map_err(|error| error.to_string())?;
    let said = forwarder.take_error(port);
    let mut far = forwarder.take_stream(port).ok_or("the API server gave no stream")?;
    // How it ended is the business of both ends; that it never began is told here.
    let _ = copy_bidirectional(&mut stream, &mut far).await;
    drop(far);
    forwarder.abort();
    match said {
        Some(said) => said.await.map_or(Ok(()), Err),
        None => Ok(()),
    }
}
