//! What is asked of single pods: their log, a command in them, their end.

use futures::{AsyncBufReadExt as _, Stream, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{AttachParams, DeleteParams, LogParams},
};
use tokio::io::AsyncReadExt as _;

use super::{Remote, RemoteError, of_pod};
use crate::names::{Names, owner_of};

/// What a command says, at most, bytes.
const MAX_SAID: u64 = 4096;

impl Remote {
    /// The lines of a node's or Sentinel's log; with `follow` until its container ends.
    pub async fn log(
        &self,
        pod: &str,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<String, RemoteError>> + use<>, RemoteError> {
        let container = self.server_of(pod).await?;
        let params = LogParams { container: Some(container.to_owned()), follow, ..LogParams::default() };
        match self.api::<Pod>().log_stream(pod, &params).await {
            Ok(stream) => {
                let what = format!("the log of {pod} broke off");
                Ok(stream.lines().map_err(move |error| RemoteError::Refused {
                    what: what.clone(),
                    why: error.to_string(),
                    next: "ask for it again".to_owned(),
                }))
            }
            Err(error) => Err(of_pod(self, pod, format!("{pod} has no log to show"), &error).await),
        }
    }

    /// Runs a command beside the server of this member, and waits for its end.
    pub async fn exec(&self, pod: &str, command: &[&str]) -> Result<(), RemoteError> {
        let what = format!("`{}` did not run in {pod}", command.join(" "));
        let container = self.server_of(pod).await?;
        let params = AttachParams::default().container(container).stdout(false).stderr(true);
        let mut process = match self.api::<Pod>().exec(pod, command.iter().copied(), &params).await {
            Ok(process) => process,
            Err(error) => return Err(of_pod(self, pod, what, &error).await),
        };
        let status = process.take_status();
        let mut said = String::new();
        if let Some(stderr) = process.stderr() {
            // A command that is cut off here is judged by its status.
            let _ = stderr.take(MAX_SAID).read_to_string(&mut said).await;
        }
        let ended = match status {
            Some(status) => status.await,
            None => None,
        };
        match ended {
            Some(status) if status.status.as_deref() == Some("Success") => Ok(()),
            other => Err(RemoteError::Refused {
                what,
                why: match said.trim() {
                    "" => {
                        other.and_then(|status| status.message).unwrap_or_else(|| "it was cut off".to_owned())
                    }
                    said => said.to_owned(),
                },
                next: "see whether the pod runs, and whether its image has a shell".to_owned(),
            }),
        }
    }

    /// The container of a pod that has the server.
    async fn server_of(&self, pod: &str) -> Result<&'static str, RemoteError> {
        let found = match self.api::<Pod>().get(pod).await {
            Ok(found) => found,
            Err(error) => {
                return Err(of_pod(self, pod, format!("the pod {pod} cannot be read"), &error).await);
            }
        };
        let container = owner_of(found.labels(), self.namespace.clone()).and_then(|key| {
            let names = Names::of(&key);
            Some(names.container(names.group_of(found.labels())?.kind()))
        });
        container.ok_or_else(|| RemoteError::NoSuchMember { name: pod.to_owned(), known: Vec::new() })
    }

    /// Deletes a pod: its agent is asked to stop, or, by force, gets no time to.
    pub async fn delete_pod(&self, pod: &str, force: bool) -> Result<(), RemoteError> {
        let params = if force { DeleteParams::default().grace_period(0) } else { DeleteParams::default() };
        let api: Api<Pod> = self.api();
        match api.delete(pod, &params).await {
            Ok(_) => Ok(()),
            Err(error) => Err(of_pod(self, pod, format!("the pod {pod} cannot be deleted"), &error).await),
        }
    }
}
