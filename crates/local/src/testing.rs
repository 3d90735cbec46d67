//! Resources for tests.

use redoubt_api::{CheckedRedis, Source};

/// `cart` with this spec, in YAML flow style.
pub(crate) fn checked(spec: &str) -> CheckedRedis {
    let text = format!("apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{name: cart}}\nspec: {spec}\n");
    let batch = redoubt_api::read(&[Source { file: "test.yaml", text: &text }]);
    assert!(batch.faults.is_empty(), "{:?}", batch.faults);
    batch.accepted[0].checked.clone()
}
