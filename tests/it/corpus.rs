//! The fuzzers' corpus, replayed: every file in it once taught them something.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

#[track_caller]
fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&corpus).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 10, "only {} files in {}", files.len(), corpus.display());
    for file in files {
        check(&fs::read(file).unwrap());
    }
}

#[test]
fn framing_holds_for_the_corpus() {
    replay("framing", checks::framing);
}

#[test]
fn escaping_holds_for_the_corpus() {
    replay("escaping", checks::escaping);
}

#[test]
fn prefaces_hold_for_the_corpus() {
    replay("preface", checks::preface);
}

#[test]
fn operator_lines_hold_for_the_corpus() {
    replay("operator", checks::operator);
}
