//! The API server, as the operator speaks to it: server-side apply with one field manager.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions},
    core::ApiResource,
};
use redoubt_api::{Key, ResourceKind};
use redoubt_engine::platform::PlatformError;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{is_conflict, is_not_found, refused},
    names::labels::MANAGER,
};

/// A kind that lives in namespaces.
pub(crate) trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Serialize + DeserializeOwned + Clone + Debug
{
}

impl<K> Kind for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
{
}

/// Whether something is really done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Judged only.
    DryRun,
    /// Done.
    Real,
}

/// The API server.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
}

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn api<K: Kind>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client(), namespace)
    }

    /// Makes the object be like this, and says how it is then.
    pub(crate) async fn apply<K: Kind>(&self, object: &K, effect: Effect) -> Result<K, PlatformError> {
        let mut params = PatchParams::apply(MANAGER).force();
        params.dry_run = effect == Effect::DryRun;
        let name = object.name_any();
        let patched = self.api::<K>(&namespace(object)).patch(&name, &params, &Patch::Apply(object)).await;
        patched.map_err(|error| refused(format!("{} is refused", described(object)), &error))
    }

    /// Asks whether this could be created; an object of the same name is a refusal.
    pub(crate) async fn could_create<K: Kind>(&self, object: &K) -> Result<(), PlatformError> {
        let params = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
        let created = self.api::<K>(&namespace(object)).create(&params, object).await;
        created.map(drop).map_err(|error| refused(format!("{} would be refused", described(object)), &error))
    }

    pub(crate) async fn get<K: Kind>(&self, namespace: &str, name: &str) -> Result<Option<K>, PlatformError> {
        let got = self.api::<K>(namespace).get_opt(name).await;
        got.map_err(|error| refused(format!("cannot read the {} {name}", kind::<K>()), &error))
    }

    /// Changes some fields of an object; one that is gone is passed over.
    pub(crate) async fn merge<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        change: &Value,
    ) -> Result<(), PlatformError> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match self.api::<K>(namespace).patch(name, &params, &Patch::Merge(change)).await {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(refused(format!("cannot change the {} {name}", kind::<K>()), &error)),
        }
    }

    /// Deletes this very object, not one of the same name that came after it.
    pub(crate) async fn delete<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        uid: Option<String>,
    ) -> Result<(), PlatformError> {
        let preconditions = uid.map(|uid| Preconditions { uid: Some(uid), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::background() };
        match self.api::<K>(namespace).delete(name, &params).await {
            Ok(_) => Ok(()),
            // Gone, or another one by now.
            Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(()),
            Err(error) => Err(refused(format!("cannot delete the {} {name}", kind::<K>()), &error)),
        }
    }

    /// Writes the status of a resource; one that is gone is passed over.
    pub(crate) async fn apply_status(&self, key: &Key, status: &Value) -> Result<(), PlatformError> {
        let resource = resource_of(key.kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), &key.namespace, &resource);
        let params = PatchParams::apply(MANAGER).force();
        match api.patch_status(&key.name, &params, &Patch::Apply(status)).await {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(refused(format!("cannot write the status of {}", key.name), &error)),
        }
    }
}

/// The resource that people write.
pub(crate) fn resource_of(kind: ResourceKind) -> ApiResource {
    let (group, version) = kind.api_version().split_once('/').unwrap_or_default();
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: kind.api_version().to_owned(),
        kind: kind.name().to_owned(),
        plural: kind.plural().to_owned(),
    }
}

fn namespace<K: Kind>(object: &K) -> String {
    object.namespace().unwrap_or_default()
}

fn kind<K: Kind>() -> String {
    K::kind(&()).into_owned()
}

/// `StatefulSet cart`, or `a Pod cart-…` for a name that is still to be made.
fn described<K: Kind>(object: &K) -> String {
    match &object.meta().generate_name {
        Some(prefix) if object.meta().name.is_none() => format!("a {} {prefix}…", kind::<K>()),
        _ => format!("the {} {}", kind::<K>(), object.name_any()),
    }
}
