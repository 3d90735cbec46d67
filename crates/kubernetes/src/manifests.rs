//! What installs the operator: CRD, rights, Deployment.

use redoubt_api::{
    PLURAL, crd,
    failover::{FAILOVER_API_VERSION, FAILOVER_PLURAL},
};
use serde_json::{Value, json};

use crate::names::{labels, ports};

/// Name of the operator's objects.
const NAME: &str = "redoubt-operator";
/// Name of what lets it hold its Lease.
const LEASE: &str = "redoubt-operator-lease";
/// Name of what lets the operator of one namespace see what belongs to none: storage classes and machines.
const UNBOUND: &str = "redoubt-operator-cluster";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// What may differ from one installation to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestOptions {
    /// Namespace of the operator.
    pub namespace: String,
    /// Image with `redoubt` and `redoubt-agent`.
    pub image: String,
    /// The only namespace it looks after, where it may not see the others.
    pub watch: Option<String>,
    /// Leaves the CRD out.
    pub without_crds: bool,
}

impl Default for ManifestOptions {
    fn default() -> Self {
        Self {
            namespace: "redoubt-system".to_owned(),
            image: format!("redoubt:{}", env!("CARGO_PKG_VERSION")),
            watch: None,
            without_crds: false,
        }
    }
}

/// YAML documents for `kubectl apply --server-side -f -`.
pub fn manifests(options: &ManifestOptions) -> Result<String, serde_saphyr::SerializeError> {
    let crds = (!options.without_crds).then(crd);
    let mut objects = vec![namespace(options), service_account(options)];
    objects.extend(rights(options));
    objects.extend([
        role(&options.namespace, LEASE, &[lease_rule()]),
        role_binding(options, &options.namespace, LEASE),
        people("view", &["get", "list", "watch"]),
        people("edit", &["create", "update", "patch", "delete", "deletecollection"]),
        deployment(options),
    ]);
    let texts: Result<Vec<String>, _> = crds.iter().chain(&objects).map(serde_saphyr::to_string).collect();
    Ok(texts?.join("---\n"))
}

fn meta(namespace: &str, name: &str) -> Value {
    json!({ "name": name, "namespace": namespace, "labels": own_labels() })
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
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(&options.namespace, NAME) })
}

/// For the work: in every namespace, or in the one that is looked after.
fn rights(options: &ManifestOptions) -> Vec<Value> {
    let mut rules = work_rules();
    let Some(watched) = &options.watch else {
        rules.extend(unbound_rules());
        rules.extend(failover_rules());
        return vec![cluster_role(NAME, &rules), cluster_role_binding(options, NAME, NAME)];
    };
    let unbound_of_ours = format!("{UNBOUND}-{}", options.namespace);
    vec![
        role(watched, NAME, &rules),
        role_binding(options, watched, NAME),
        cluster_role(UNBOUND, &unbound_rules()),
        cluster_role_binding(options, &unbound_of_ours, UNBOUND),
    ]
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": resources, "verbs": verbs })
}

/// No more than the work takes. `create` of pods and volume claims is for dry runs: they are made by StatefulSets.
fn work_rules() -> Vec<Value> {
    let status = format!("{PLURAL}/status");
    vec![
        rule("redoubt.dev", &[PLURAL], &["get", "list", "watch"]),
        rule("redoubt.dev", &[&status], &["get", "patch"]),
        rule("", &["pods", "services"], &["get", "list", "watch", "create", "patch", "delete"]),
        rule("apps", &["statefulsets"], &["get", "list", "watch", "create", "patch", "delete"]),
        rule("", &["secrets"], &["get", "create", "patch"]),
        rule("", &["configmaps"], &["create", "patch"]),
        rule("", &["persistentvolumeclaims"], &["create"]),
        rule("", &["resourcequotas"], &["list"]),
        rule("discovery.k8s.io", &["endpointslices"], &["list", "watch", "create", "patch"]),
        rule("policy", &["poddisruptionbudgets"], &["get", "create", "patch", "delete"]),
        rule("networking.k8s.io", &["networkpolicies"], &["get", "create", "patch", "delete"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ]
}

/// Which storage classes there are, and in which zone a machine is.
fn unbound_rules() -> [Value; 2] {
    [rule("storage.k8s.io", &["storageclasses"], &["list"]), rule("", &["nodes"], &["get"])]
}

/// For `RedisFailover`: whether there is such a thing, and, in whatever namespace, whether the old operator still works and
/// what it made; and for taking that over: its Deployment, its `ConfigMap` and its budgets go, volumes get another owner.
/// Whoever may look into one namespace only runs none.
fn failover_rules() -> Vec<Value> {
    let group = failover_group();
    let status = format!("{FAILOVER_PLURAL}/status");
    vec![
        rule(group, &[FAILOVER_PLURAL], &["get", "list", "watch"]),
        rule(group, &[&status], &["get", "patch"]),
        json!({
            "apiGroups": ["apiextensions.k8s.io"],
            "resources": ["customresourcedefinitions"],
            "resourceNames": [format!("{FAILOVER_PLURAL}.{group}")],
            "verbs": ["get", "list", "watch"],
        }),
        rule("coordination.k8s.io", &["leases"], &["list"]),
        rule("apps", &["deployments"], &["get", "list", "delete"]),
        rule("", &["configmaps"], &["get", "list", "delete"]),
        rule("", &["persistentvolumeclaims"], &["list", "patch"]),
        rule("policy", &["poddisruptionbudgets"], &["get", "delete"]),
    ]
}

fn failover_group() -> &'static str {
    FAILOVER_API_VERSION.split('/').next().unwrap_or_default()
}

/// The Lease is the operators' own business.
fn lease_rule() -> Value {
    rule("coordination.k8s.io", &["leases"], &["get", "list", "watch", "create", "update"])
}

fn cluster_role(name: &str, rules: &[Value]) -> Value {
    json!({
        "apiVersion": RBAC,
        "kind": "ClusterRole",
        "metadata": { "name": name, "labels": own_labels() },
        "rules": rules,
    })
}

fn cluster_role_binding(options: &ManifestOptions, name: &str, role: &str) -> Value {
    json!({
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": { "name": name, "labels": own_labels() },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [subject(options)],
    })
}

fn role(namespace: &str, name: &str, rules: &[Value]) -> Value {
    json!({ "apiVersion": RBAC, "kind": "Role", "metadata": meta(namespace, name), "rules": rules })
}

fn role_binding(options: &ManifestOptions, namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": meta(namespace, name),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
        "subjects": [subject(options)],
    })
}

fn subject(options: &ManifestOptions) -> Value {
    json!({ "kind": "ServiceAccount", "name": NAME, "namespace": options.namespace })
}

/// Whoever may see or change what is in a namespace may do so with its Redis.
fn people(role: &str, verbs: &[&str]) -> Value {
    json!({
        "apiVersion": RBAC,
        "kind": "ClusterRole",
        "metadata": {
            "name": format!("redoubt-{role}"),
            "labels": { format!("rbac.authorization.k8s.io/aggregate-to-{role}"): "true" },
        },
        "rules": [{
            "apiGroups": ["redoubt.dev", failover_group()], "resources": [PLURAL, FAILOVER_PLURAL], "verbs": verbs,
        }],
    })
}

/// Two: one leads, the other takes over at once.
fn deployment(options: &ManifestOptions) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta(&options.namespace, NAME),
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
        "env": env(options),
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

fn env(options: &ManifestOptions) -> Value {
    let watched =
        options.watch.iter().map(|namespace| json!({ "name": "REDOUBT_NAMESPACE", "value": namespace }));
    let own = [
        json!({ "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }),
        json!({ "name": "REDOUBT_AGENT_IMAGE", "value": options.image }),
    ];
    own.into_iter().chain(watched).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(options: &ManifestOptions) -> Vec<Value> {
        serde_saphyr::from_multiple(&manifests(options).unwrap()).unwrap()
    }

    fn of_kind<'a>(all: &'a [Value], kind: &'static str) -> impl Iterator<Item = &'a Value> {
        all.iter().filter(move |object| object["kind"] == kind)
    }

    #[test]
    fn who_looks_after_one_namespace_may_nothing_in_the_others() {
        let watch = Some("shop".to_owned());
        let all = objects(&ManifestOptions { watch, ..ManifestOptions::default() });
        let kind = |kind: &'static str| of_kind(&all, kind);
        let bound: Vec<&Value> =
            kind("ClusterRoleBinding").map(|binding| &binding["roleRef"]["name"]).collect();
        assert_eq!(bound, [&json!("redoubt-operator-cluster")]);
        let storage = kind("ClusterRole").find(|role| role["metadata"]["name"] == *bound[0]).unwrap();
        assert_eq!(storage["rules"], json!(unbound_rules()));
        let roles: Vec<_> =
            kind("Role").map(|role| (&role["metadata"]["namespace"], &role["rules"])).collect();
        assert_eq!(
            roles,
            [(&json!("shop"), &json!(work_rules())), (&json!("redoubt-system"), &json!([lease_rule()])),]
        );
        let operator = kind("Deployment").next().unwrap();
        let env = operator["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        assert!(env.contains(&json!({ "name": "REDOUBT_NAMESPACE", "value": "shop" })));
    }

    #[test]
    fn two_installations_share_no_binding() {
        let options = |namespace: &str, watch: &str| ManifestOptions {
            namespace: namespace.to_owned(),
            watch: Some(watch.to_owned()),
            ..ManifestOptions::default()
        };
        let names = |options: ManifestOptions| -> Vec<String> {
            let bindings = objects(&options)
                .into_iter()
                .filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Binding")));
            bindings.map(|it| format!("{} {}", it["metadata"]["namespace"], it["metadata"]["name"])).collect()
        };
        let (one, two) = (names(options("redoubt-a", "a")), names(options("redoubt-b", "b")));
        assert!(one.iter().all(|name| !two.contains(name)), "{one:?} {two:?}");
    }
}
