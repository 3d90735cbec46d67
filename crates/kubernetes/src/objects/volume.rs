//! Volumes: the data, and what is mounted beside it.

use k8s_openapi::{
    api::core::v1::{
        ConfigMapVolumeSource, EmptyDirVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec,
        PersistentVolumeClaimVolumeSource, SecretVolumeSource, Volume, VolumeMount,
        VolumeResourceRequirements,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use redoubt_api::FailoverData;
use redoubt_engine::platform::MemberKind;

use super::{Wanted, pod::read};
use crate::names::Group;

/// Where the program is, once copied.
pub(super) const PROGRAM: &str = "/opt/redoubt";
/// Where the configuration is.
pub(super) const CONFIG: &str = "/etc/redoubt/config";
/// Where the passwords are.
pub(super) const SECRETS: &str = "/etc/redoubt/secrets";
/// Where data is, as in the official images.
pub(super) const DATA: &str = "/data";

/// The data of a `Redis`, and a Sentinel's memory.
const DATA_VOLUME: &str = "data";
/// The data of a `RedisFailover` without volumes.
const FAILOVER_DATA: &str = "redis-data";
const PROGRAM_VOLUME: &str = "program";
/// Readable for the group, which is the pod's own.
const GROUP_READABLE: i32 = 0o440;
/// A trial of a configuration uses a folder here where the path below the data would be too long for a socket.
const TMP: &str = "/tmp";

/// The volume with a member's data.
fn data_volume(wanted: Wanted<'_>, kind: MemberKind) -> &str {
    match wanted.failover().filter(|_| kind == MemberKind::Node).map(|failover| &failover.data) {
        None => DATA_VOLUME,
        Some(FailoverData::EmptyDir(_)) => FAILOVER_DATA,
        Some(FailoverData::Claim { name, .. }) => name,
    }
}

/// Template of these data nodes' volume claims, where they have volumes.
pub(super) fn claim(wanted: Wanted<'_>, group: Group) -> Option<PersistentVolumeClaim> {
    match wanted.failover().map(|failover| &failover.data) {
        Some(FailoverData::EmptyDir(_)) => None,
        Some(FailoverData::Claim { template, .. }) => read(template),
        None => Some(PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(DATA_VOLUME.to_owned()),
                labels: Some(wanted.labels_of_group(group)),
                ..ObjectMeta::default()
            },
            spec: Some(claim_spec(wanted)),
            ..PersistentVolumeClaim::default()
        }),
    }
}

/// The same claim, for a dry run.
pub(crate) fn probe_claim(wanted: Wanted<'_>) -> Option<PersistentVolumeClaim> {
    let mut claim = claim(wanted, wanted.groups().next()?)?;
    let name = claim.metadata.name.take().unwrap_or_default();
    claim.metadata.generate_name = Some(format!("{name}-{}-", wanted.names().nodes()));
    claim.metadata.namespace = Some(wanted.redis().key.namespace.clone());
    Some(claim)
}

/// The volume of a pod that stands for one of a StatefulSet, which adds that of the claim.
pub(super) fn probe_volume(wanted: Wanted<'_>, group: Group) -> Option<Volume> {
    let name = claim(wanted, group)?.metadata.name?;
    let claimed = PersistentVolumeClaimVolumeSource { claim_name: name.clone(), read_only: None };
    Some(Volume { name, persistent_volume_claim: Some(claimed), ..Volume::default() })
}

fn claim_spec(wanted: Wanted<'_>) -> PersistentVolumeClaimSpec {
    let volume = &wanted.redis().spec.persistence.volume;
    PersistentVolumeClaimSpec {
        access_modes: Some(vec![volume.access_mode.clone()]),
        storage_class_name: volume.storage_class.clone(),
        resources: Some(VolumeResourceRequirements {
            requests: Some([("storage".to_owned(), Quantity(size(volume.size)))].into()),
            ..VolumeResourceRequirements::default()
        }),
        ..PersistentVolumeClaimSpec::default()
    }
}

/// Bytes as people write them.
fn size(bytes: u64) -> String {
    let units = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let fits = |(_, shift): &&(&str, u32)| bytes.is_multiple_of(1 << shift);
    match units.iter().find(fits) {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// Volumes of a pod beside the claims. A Sentinel's memory outlives its container, and is learned anew from its peers
/// by a new pod.
pub(super) fn volumes(wanted: Wanted<'_>, kind: MemberKind) -> Vec<Volume> {
    let empty = |name: &str| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let config = Volume {
        name: "config".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: wanted.names().config(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let secrets = Volume {
        name: "secrets".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(wanted.names().auth()),
            default_mode: Some(GROUP_READABLE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    let data = match (kind, wanted.failover().map(|failover| &failover.data)) {
        (MemberKind::Sentinel, _) => Some(empty(DATA_VOLUME)),
        (MemberKind::Node, Some(FailoverData::EmptyDir(dir))) => {
            Some(Volume { empty_dir: Some(read(dir).unwrap_or_default()), ..empty(FAILOVER_DATA) })
        }
        (MemberKind::Node, Some(FailoverData::Claim { .. }) | None) => None,
    };
    [empty(PROGRAM_VOLUME), empty("tmp"), config, secrets].into_iter().chain(data).collect()
}

/// What the server's container sees.
pub(super) fn mounts(wanted: Wanted<'_>, kind: MemberKind) -> Vec<VolumeMount> {
    vec![
        read_only(PROGRAM_VOLUME, PROGRAM),
        read_only("config", CONFIG),
        read_only("secrets", SECRETS),
        writable("tmp", TMP),
        writable(data_volume(wanted, kind), DATA),
    ]
}

/// What the container that brings the program sees.
pub(super) fn program_mount() -> VolumeMount {
    writable(PROGRAM_VOLUME, PROGRAM)
}

fn writable(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn read_only(name: &str, path: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..writable(name, path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_written_as_people_write_it() {
        for (bytes, text) in
            [(1 << 30, "1Gi"), (1536 << 20, "1536Mi"), (10_000_000_000, "9765625Ki"), (1_000_001, "1000001")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
