//! Where the data is.

use super::{
    raw::{Claim, FailoverStorage},
    translate::{Purpose, Translator},
    unhonoured,
};
use crate::{
    defaults,
    raw::{AccessMode, Quantity, VolumeSpec},
};

const PATH: &str = "spec.redis.storage";

pub(super) fn translate(storage: &FailoverStorage, to: &mut Translator) {
    let mut volume = match &storage.persistent_volume_claim {
        Some(claim) => claimed(claim, to),
        None => instead_of_nothing(storage, to),
    };
    volume.keep_after_deletion = Some(storage.keep_after_deletion);
    let goes = storage.persistent_volume_claim.is_some() || to.purpose == Purpose::Convert;
    if !storage.keep_after_deletion && goes {
        to.warn(
            &format!("{PATH}.keepAfterDeletion"),
            "is false: who deletes the resource, or its definition, deletes its data",
            "write true, unless that is wanted",
        );
    }
    to.redis.spec.persistence.get_or_insert_default().volume = Some(volume);
    to.trace("spec.persistence.volume", PATH);
}

fn claimed(claim: &Claim, to: &mut Translator) -> VolumeSpec {
    let path = format!("{PATH}.persistentVolumeClaim");
    let spec = &claim.spec;
    if to.purpose == Purpose::Convert {
        rest(&path, claim, to);
    }
    let size = spec.resources.requests.get("storage").cloned();
    if size.is_none() {
        to.fault(
            &format!("{path}.spec.resources.requests.storage"),
            "is missing: a volume has a size",
            "write 1Gi",
        );
    }
    VolumeSpec {
        size,
        storage_class: spec.storage_class_name.clone(),
        access_mode: spec.access_modes.first().and_then(|mode| access_mode(&path, mode, to)),
        keep_after_deletion: None,
    }
}

/// A `Redis` has no field for these.
fn rest(path: &str, claim: &Claim, to: &mut Translator) {
    let metadata = claim.metadata.iter().filter(|(name, _)| *name != "name");
    let metadata = metadata.map(|(name, value)| (name.clone(), value.clone())).collect();
    unhonoured::others(&format!("{path}.metadata"), &metadata, &[], to);
    unhonoured::others(&format!("{path}.spec"), &claim.spec.others, &[], to);
}

fn access_mode(path: &str, mode: &str, to: &mut Translator) -> Option<AccessMode> {
    match mode {
        "ReadWriteOnce" => Some(AccessMode::ReadWriteOnce),
        "ReadWriteOncePod" => Some(AccessMode::ReadWriteOncePod),
        "ReadWriteMany" => Some(AccessMode::ReadWriteMany),
        _ => {
            let message = format!("{mode:?} is no way to mount a volume that is written to");
            to.fault(&format!("{path}.spec.accessModes"), message, "write ReadWriteOnce");
            None
        }
    }
}

/// A node of a `Redis` always has a volume: without one the end of all pods loses everything.
fn instead_of_nothing(storage: &FailoverStorage, to: &mut Translator) -> VolumeSpec {
    let limit = storage.empty_dir.as_ref().and_then(|dir| dir.size_limit.clone());
    if to.purpose == Purpose::Run {
        to.warn(
            &format!("{PATH}.persistentVolumeClaim"),
            "there is none: data lives as long as its pod, and is lost when all pods are gone at once",
            "write a persistentVolumeClaim, unless that is wanted",
        );
        return VolumeSpec::default();
    }
    let size = limit.as_ref().map_or(defaults::VOLUME_SIZE, Quantity::as_str).to_owned();
    to.not_honoured(
        &format!("{PATH}.persistentVolumeClaim"),
        format!("there is none, and each node of a Redis has a volume: {size} of the default storage class"),
        "write a persistentVolumeClaim to say which",
    );
    VolumeSpec { size: limit, ..VolumeSpec::default() }
}
