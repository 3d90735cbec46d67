//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::layout::{INSTANCES, NODES_MAX};

/// A real Kubernetes on one machine: API server, etcd, controllers, and nodes with containerd and kubelet.
#[derive(Debug, Parser)]
#[command(name = "lab", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Which lab of this machine: several run side by side
    #[arg(long, global = true, env = "LAB_INSTANCE", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(..i64::from(INSTANCES)))]
    pub(crate) instance: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says what this machine lacks to run a lab
    Doctor,
    /// Builds Kubernetes and the images, once for a machine
    Build,
    /// Starts a lab and prints the line that points kubectl there
    Up {
        /// How many nodes, spread over three zones
        #[arg(long, env = "LAB_NODES", default_value_t = 3,
              value_parser = clap::value_parser!(u8).range(1..=i64::from(NODES_MAX)))]
        nodes: u8,
    },
    /// Ends a lab and removes all of it, also what a crashed one left
    Down,
    /// Builds images and loads them into every node
    #[command(subcommand)]
    Image(ImageCommand),
    #[command(flatten)]
    Fault(Fault),
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ImageCommand {
    /// This repository's program, as redoubt:lab
    Redoubt,
    /// Servers of other versions, as redis:6.2, redis:8.0, valkey/valkey:8.1 and valkey/valkey:9.1
    Servers,
}

/// What can go wrong, and how it is put right.
#[derive(Debug, Subcommand)]
pub(crate) enum Fault {
    /// Pulls out a node's network cable
    Cut(NodeName),
    /// Plugs a node's network cable in again
    Uncut(NodeName),
    /// Pulls out the network cables of all nodes of a zone
    CutZone(ZoneName),
    /// Plugs the network cables of a zone's nodes in again
    UncutZone(ZoneName),
    /// Ends a node's kubelet; its pods go on
    StopKubelet(NodeName),
    /// Starts a node's kubelet again
    StartKubelet(NodeName),
    /// Ends everything on a node at once, as a power failure does
    KillNode(NodeName),
    /// Starts a killed node again, with its disk
    StartNode(NodeName),
    /// Delays whatever a node sends and receives, each way
    Slow {
        /// node-1, node-2, …
        node: String,
        /// Milliseconds
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
        ms: u32,
    },
    /// Lets a node's frames pass at once again
    Unslow(NodeName),
    /// Fills a volume to its last byte
    Fill(VolumeName),
    /// Gives the space of a filled volume back
    Unfill(VolumeName),
    /// Ends the API server
    StopApi,
    /// Starts the API server again
    StartApi,
}

#[derive(Debug, Args)]
pub(crate) struct NodeName {
    /// node-1, node-2, …
    pub(crate) node: String,
}

#[derive(Debug, Args)]
pub(crate) struct VolumeName {
    /// NAMESPACE/CLAIM, or the name of a persistent volume
    pub(crate) volume: String,
}

#[derive(Debug, Args)]
pub(crate) struct ZoneName {
    /// zone-a, zone-b or zone-c
    pub(crate) zone: String,
}
