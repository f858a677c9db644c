//! (to come)

fn main() {}
