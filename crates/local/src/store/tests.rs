use redoubt_api::Source;

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(StateDir::create(dir.path()).unwrap());
    (dir, store)
}

fn redis(metadata: &str, spec: &str) -> Redis {
    let text =
        format!("apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{{metadata}}}\nspec: {{{spec}}}\n");
    let batch = redoubt_api::read(&[Source { file: "test.yaml", text: &text }]);
    assert!(batch.faults.is_empty(), "{:?}", batch.faults);
    batch.accepted[0].redis.clone()
}

fn generation(store: &Store) -> i64 {
    store.get("cart").unwrap().unwrap().metadata.generation.unwrap()
}

#[test]
fn the_generation_counts_changes_of_the_spec_alone() {
    let (_dir, store) = store();
    let steps = [
        ("name: cart", "replicas: 3", Applied::Created, 1),
        ("name: cart", "replicas: 3", Applied::Unchanged, 1),
        ("name: cart", "replicas: 5", Applied::Configured, 2),
        ("name: cart, labels: {a: b}", "replicas: 5", Applied::Configured, 2),
        ("name: cart", "replicas: 3", Applied::Configured, 3),
    ];
    for (metadata, spec, applied, generation_after) in steps {
        assert_eq!(store.apply(&redis(metadata, spec)).unwrap(), applied);
        assert_eq!(generation(&store), generation_after);
    }
}

#[test]
fn two_namespaces_cannot_share_a_name() {
    let (_dir, store) = store();
    store.apply(&redis("name: cart", "")).unwrap();
    store.apply(&redis("name: cart, namespace: default", "")).unwrap();
    let error = store.apply(&redis("name: cart, namespace: shop", "")).unwrap_err();
    assert!(matches!(&error, LocalError::NameTaken { namespace, .. } if namespace == "default"), "{error}");
}

#[test]
fn what_is_deleted_is_gone_and_may_come_back() {
    let (_dir, store) = store();
    store.apply(&redis("name: cart", "replicas: 3")).unwrap();
    store.apply(&redis("name: cart", "replicas: 5")).unwrap();
    assert_eq!(store.names().unwrap(), ["cart"]);
    assert!(store.delete("cart").unwrap());
    assert!(!store.delete("cart").unwrap());
    assert_eq!(store.get("cart").unwrap(), None);
    assert_eq!(store.get("../engine").unwrap(), None);
    store.apply(&redis("name: cart", "replicas: 5")).unwrap();
    assert_eq!(generation(&store), 1);
}

fn found(changes: &mut Changes) -> Vec<String> {
    let name = |change| match change {
        StoreChange::Applied(redis) => format!("applied {} {}", redis.key.name, redis.spec.replicas),
        StoreChange::Refused(key, faults) => format!("refused {key:?} {}", faults[0]),
        StoreChange::Deleted(key) => format!("deleted {}", key.name),
    };
    changes.look();
    std::iter::from_fn(|| changes.next()).map(name).collect()
}

#[test]
fn one_malformed_file_never_stops_the_others() {
    let (_dir, store) = store();
    store.apply(&redis("name: cart", "")).unwrap();
    std::fs::write(store.state.resource("broken"), "kind: [").unwrap();
    std::fs::write(store.state.resource("other-name"), redis("name: cart", "").to_yaml().unwrap()).unwrap();
    let mut changes = Changes::new(store.clone()).unwrap();
    let first = found(&mut changes);
    assert_eq!(first.len(), 3, "{first:?}");
    assert!(first[0].starts_with("refused") && first[0].contains("broken.yaml:"), "{first:?}");
    assert_eq!(first[1], "applied cart 3");
    assert!(first[2].contains("rename the file"), "{first:?}");
    store.apply(&redis("name: cart", "replicas: 5")).unwrap();
    assert_eq!(found(&mut changes), ["applied cart 5"]);
}

#[test]
fn a_change_is_told_once_and_a_broken_one_does_not_look_like_a_deletion() {
    let (_dir, store) = store();
    store.apply(&redis("name: cart, namespace: shop", "replicas: 3")).unwrap();
    let mut changes = Changes::new(store.clone()).unwrap();
    assert_eq!(found(&mut changes), ["applied cart 3"]);
    assert!(found(&mut changes).is_empty());
    let path = store.state.resource("cart");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("replicas: 3", "replicas: 0")).unwrap();
    let refused = found(&mut changes);
    assert!(refused[0].contains("shop") && refused[0].contains("spec.replicas"), "{refused:?}");
    std::fs::write(&path, text).unwrap();
    assert_eq!(found(&mut changes), ["applied cart 3"]);
    store.delete("cart").unwrap();
    assert_eq!(found(&mut changes), ["deleted cart"]);
    store.apply(&redis("name: cart", "")).unwrap();
    found(&mut changes);
    std::fs::remove_dir_all(store.state.resources()).unwrap();
    assert!(found(&mut changes).is_empty(), "a folder that is not there deletes nobody");
}

#[test]
fn a_set_whose_resource_went_away_while_nobody_watched_is_deleted() {
    let (_dir, store) = store();
    let set = store.state.set("cart");
    std::fs::create_dir_all(set.config_dir()).unwrap();
    std::fs::create_dir_all(store.state.set("kept").root()).unwrap();
    std::fs::write(set.config(), "{}").unwrap();
    let mut changes = Changes::new(store).unwrap();
    assert_eq!(found(&mut changes), ["deleted cart"], "and one that only left its data is left alone");
}
