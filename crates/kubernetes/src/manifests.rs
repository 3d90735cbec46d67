//! What installs the operator: CRD, rights, Deployment.

use redoubt_api::{PLURAL, crd};
use serde_json::{Value, json};

use crate::names::{labels, ports};

/// Name of the operator's objects.
const NAME: &str = "redoubt-operator";

/// What may differ from one installation to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestOptions {
    /// Namespace of the operator.
    pub namespace: String,
    /// Image with `redoubt` and `redoubt-agent`.
    pub image: String,
    /// Leaves the CRD out.
    pub without_crds: bool,
}

impl Default for ManifestOptions {
    fn default() -> Self {
        Self {
            namespace: "redoubt-system".to_owned(),
            image: format!("redoubt:{}", env!("CARGO_PKG_VERSION")),
            without_crds: false,
        }
    }
}

/// YAML documents for `kubectl apply --server-side -f -`.
pub fn manifests(options: &ManifestOptions) -> Result<String, serde_saphyr::SerializeError> {
    let crds = (!options.without_crds).then(crd);
    let objects = [
        namespace(options),
        service_account(options),
        cluster_role(),
        cluster_role_binding(options),
        role(options),
        role_binding(options),
        people("view", &["get", "list", "watch"]),
        people("edit", &["create", "update", "patch", "delete", "deletecollection"]),
        deployment(options),
    ];
    let texts: Result<Vec<String>, _> = crds.iter().chain(&objects).map(serde_saphyr::to_string).collect();
    Ok(texts?.join("---\n"))
}

fn meta(options: &ManifestOptions) -> Value {
    json!({ "name": NAME, "namespace": options.namespace, "labels": own_labels() })
}

fn own_labels() -> Value {
    json!({ labels::NAME: NAME })
}

/// The operator keeps to the standard it asks of its pods.
fn namespace(options: &ManifestOptions) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": options.namespace,
            "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
        },
    })
}

fn service_account(options: &ManifestOptions) -> Value {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(options) })
}

/// No more than the work takes. `create` of pods and volume claims is for dry runs: they are made by StatefulSets.
fn cluster_role() -> Value {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
    let status = format!("{PLURAL}/status");
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": NAME, "labels": own_labels() },
        "rules": [
            rule("redoubt.dev", &[PLURAL], &["get", "list", "watch"]),
            rule("redoubt.dev", &[&status], &["get", "patch"]),
            rule("", &["pods", "services"], &["get", "list", "watch", "create", "patch", "delete"]),
            rule("apps", &["statefulsets"], &["get", "list", "watch", "create", "patch", "delete"]),
            rule("", &["secrets"], &["get", "create", "patch"]),
            rule("", &["configmaps"], &["create", "patch"]),
            rule("", &["persistentvolumeclaims"], &["create"]),
            rule("", &["resourcequotas"], &["list"]),
            rule("discovery.k8s.io", &["endpointslices"], &["list", "watch", "create", "patch"]),
            rule("policy", &["poddisruptionbudgets"], &["create", "patch"]),
            rule("networking.k8s.io", &["networkpolicies"], &["create", "patch", "delete"]),
            rule("storage.k8s.io", &["storageclasses"], &["list"]),
            rule("events.k8s.io", &["events"], &["create", "patch"]),
        ],
    })
}

fn cluster_role_binding(options: &ManifestOptions) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": NAME, "labels": own_labels() },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME },
        "subjects": [subject(options)],
    })
}

/// The Lease is the operators' own business.
fn role(options: &ManifestOptions) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": meta(options),
        "rules": [{
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "watch", "create", "update"],
        }],
    })
}

fn role_binding(options: &ManifestOptions) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": meta(options),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME },
        "subjects": [subject(options)],
    })
}

fn subject(options: &ManifestOptions) -> Value {
    json!({ "kind": "ServiceAccount", "name": NAME, "namespace": options.namespace })
}

/// Whoever may see or change what is in a namespace may do so with its Redis.
fn people(role: &str, verbs: &[&str]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": format!("redoubt-{role}"),
            "labels": { format!("rbac.authorization.k8s.io/aggregate-to-{role}"): "true" },
        },
        "rules": [{ "apiGroups": ["redoubt.dev"], "resources": [PLURAL], "verbs": verbs }],
    })
}

/// Two: one leads, the other takes over at once.
fn deployment(options: &ManifestOptions) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta(options),
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": own_labels() },
            "template": {
                "metadata": {
                    "labels": own_labels(),
                    "annotations": { "prometheus.io/scrape": "true", "prometheus.io/port": ports::OPERATOR.to_string() },
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": 65532,
                        "runAsGroup": 65532,
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "containers": [container(options)],
                    "topologySpreadConstraints": [{
                        "topologyKey": "kubernetes.io/hostname",
                        "maxSkew": 1,
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": { "matchLabels": own_labels() },
                    }],
                },
            },
        },
    })
}

fn container(options: &ManifestOptions) -> Value {
    let probe = |path: &str| json!({ "httpGet": { "path": path, "port": "http" }, "periodSeconds": 5 });
    json!({
        "name": "operator",
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["operator"],
        "env": [
            { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            { "name": "REDOUBT_AGENT_IMAGE", "value": options.image },
        ],
        "ports": [{ "name": "http", "containerPort": ports::OPERATOR }],
        "livenessProbe": probe("/healthz"),
        "readinessProbe": probe("/readyz"),
        "resources": {
            "requests": { "cpu": "20m", "memory": "48Mi" },
            "limits": { "memory": "256Mi" },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
    })
}
