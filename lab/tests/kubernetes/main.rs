//! The lab's promises, on the cluster that `KUBECONFIG` names. What only a lab can do is skipped elsewhere, and says so.
//! `make test-kubernetes` runs them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod cluster;
mod faults;
mod remains;
mod shop;
mod whole;
