//! What a package brings: each file is started or checked by the program that it is for.

use std::fs;
use std::path::Path;

mod balancers;
mod container;
mod firewall;
mod kubernetes;
mod units;

/// A file of `src/package`.
#[track_caller]
fn packaged(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/package").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words by which a file says that the server is started.
#[track_caller]
fn started(file: &str) -> &str {
    file.lines().find_map(|line| line.split_once("    reactor-server ")).expect("no command in it").1
}
