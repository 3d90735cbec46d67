//! A Redis on every zone, in a namespace of its own, under the restricted pod security standard.

use crate::cluster::{apply, eventually, get, kubectl, run, try_run};

pub(crate) const MANIFEST: &str = include_str!("shop.yaml");

/// Deleted, volumes included, when the test ends.
pub(crate) struct Shop {
    pub(crate) namespace: String,
}

impl Shop {
    /// Three pods that are ready, each with a volume of this class (the default, where it is empty).
    pub(crate) fn open(test: &str, class: &str) -> Self {
        let shop = Self { namespace: format!("lab-{test}-{}", std::process::id()) };
        let class = if class.is_empty() { String::new() } else { format!("storageClassName: {class}, ") };
        apply(&MANIFEST.replace("NAMESPACE", &shop.namespace).replace("CLASS", &class));
        shop.is_whole();
        shop
    }

    pub(crate) fn is_whole(&self) {
        eventually("three ready pods", || {
            let ready =
                self.run(&["get", "statefulset", "cart", "-o", "jsonpath={.status.readyReplicas}"])?;
            if ready == "3" { Ok(()) } else { Err(format!("{ready} are ready: {}", self.story())) }
        });
    }

    fn story(&self) -> String {
        self.run(&["get", "pods,events", "-o", "wide"]).unwrap_or_else(|error| error)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        try_run(kubectl(&["--namespace", &self.namespace]).args(arguments))
    }

    /// Runs redis-cli in a pod.
    pub(crate) fn redis(&self, pod: &str, arguments: &[&str]) -> Result<String, String> {
        self.run(&[&["exec", pod, "--", "redis-cli"], arguments].concat())
    }

    pub(crate) fn node_of(&self, pod: &str) -> String {
        self.run(&["get", "pod", pod, "-o", "jsonpath={.spec.nodeName}"]).unwrap()
    }

    pub(crate) fn zone_of(&self, pod: &str) -> String {
        let node = get(&["node", &self.node_of(pod)]);
        node["metadata"]["labels"]["topology.kubernetes.io/zone"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let mut delete = kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
        if std::thread::panicking() { drop(try_run(&mut delete)) } else { drop(run(&mut delete)) }
    }
}
