//! What the program says of itself.

use crate::lab::Lab;

/// The commands people see.
const COMMANDS: [&str; 16] = [
    "up",
    "down",
    "apply",
    "delete",
    "status",
    "connection",
    "switchover",
    "cli",
    "logs",
    "drill",
    "cluster",
    "validate",
    "convert",
    "schema",
    "version",
    "completions",
];

#[test]
fn every_command_explains_itself_with_an_example_and_the_exit_codes() {
    let lab = Lab::light();
    for command in COMMANDS {
        let help = lab.run([command, "--help"]).ok().out;
        assert!(
            help.contains(&format!("Example:\n  redoubt {command}")) || help.contains("redoubt connection"),
            "{help}"
        );
        assert!(help.contains("Exit codes:"), "{help}");
    }
}

#[test]
fn every_cluster_command_explains_itself_with_an_example_and_the_exit_codes() {
    let lab = Lab::light();
    for command in
        ["create", "check", "info", "nodes", "reshard", "rebalance", "fix", "add-node", "del-node", "call"]
    {
        let help = lab.run(["cluster", command, "--help"]).ok().out;
        assert!(help.contains(&format!("Example:\n  redoubt cluster {command}")), "{help}");
        assert!(help.contains("Exit codes:"), "{help}");
    }
}

#[test]
fn the_overview_names_every_command() {
    let help = Lab::light().run(["--help"]).ok().out;
    insta::assert_snapshot!(help);
}

#[test]
fn the_version_is_for_people_and_for_programs() {
    let lab = Lab::light();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(lab.run(["version"]).ok().out, format!("redoubt {version}\n"));
    assert_eq!(lab.run(["--version"]).ok().out, format!("redoubt {version}\n"));
    assert_eq!(lab.run(["version", "-o", "json"]).ok().json()["version"], version);
}

#[test]
fn the_schema_describes_the_resource() {
    let schema = Lab::light().run(["schema"]).ok().json();
    assert_eq!(schema["properties"]["kind"]["const"], "Redis");
    assert!(schema["properties"]["spec"]["properties"]["sentinel"].is_object(), "{schema:#}");
}

#[test]
fn completions_are_made_for_every_shell() {
    let lab = Lab::light();
    for shell in ["bash", "zsh", "fish"] {
        let script = lab.run(["completions", shell]).ok().out;
        assert!(script.contains("redoubt") && script.contains("switchover"), "{shell}");
    }
}

#[test]
fn data_goes_to_standard_output_and_talk_elsewhere() {
    let lab = Lab::light();
    let file = lab.file("even.yaml", &crate::bad_input::redis("cart", "  sentinel: {replicas: 4}\n"));
    let said = lab.run(["validate", "-f", file.to_str().unwrap()]).ok();
    assert_eq!(said.out, "cart is valid\n");
    assert!(said.err.starts_with("warning: "), "{}", said.err);
}

#[test]
fn no_colour_where_nobody_sees_it() {
    let said =
        Lab::light().command(["validate", "-f", "absent.yaml"]).env_remove("NO_COLOR").output().unwrap();
    assert!(!said.stderr.contains(&0x1b), "{}", String::from_utf8_lossy(&said.stderr));
}
