//! The operator on the cluster that `KUBECONFIG` names, with the image that `REDOUBT_TEST_IMAGE` names and its machines have.
//! `make test-kubernetes` gives both. What only a lab can do is left out elsewhere, and says so.

#![cfg(test)]

mod adopt;
mod cluster;
mod commands;
mod door;
mod drills;
mod failover;
mod fault;
mod filled;
mod game;
mod life;
mod machines;
mod namespaced;
mod old;
mod operators;
mod outage;
mod shards;
mod tenants;
mod tour;
mod trouble;
