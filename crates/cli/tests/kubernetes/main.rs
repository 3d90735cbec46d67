//! The operator on a real cluster: where `KUBECONFIG` names one and `REDOUBT_TEST_IMAGE` an image with this program that its
//! machines have (`lab image redoubt` makes `redoubt:lab`). Says so where that is not given.

#![cfg(test)]

mod cluster;
mod commands;
mod door;
mod drills;
mod game;
mod life;
mod tenants;
