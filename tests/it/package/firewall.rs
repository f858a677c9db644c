//! The guide's rules of who may come and how often, loaded as they stand there.

use std::fs;
use std::path::Path;

use crate::harness::{Namespace, run, server_under_test, undisturbed};

/// The rules in the guide.
#[track_caller]
fn rules() -> String {
    let chapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/production.md");
    let chapter = fs::read_to_string(chapter).unwrap();
    let block = chapter.split_once("```nft\n").and_then(|(_, rest)| rest.split_once("```"));
    block.expect("no rules in the guide").0.to_owned()
}

#[test]
fn askers_are_rationed_over_both_families_and_strangers_are_dropped() {
    undisturbed(|| {
        let Some(namespace) = Namespace::new("nft list ruleset > /dev/null\nip address add 192.0.2.9/32 dev lo") else {
            return;
        };
        let (server, rules) = (server_under_test(), rules());
        let script = format!(
            "{server} -q --host :: -p 6666 < /dev/null > /dev/null &
         until \"$0\" -ztuq 127.0.0.1 -W 0.2; do :; done
         nft -f - <<'RULES'
{rules}RULES
         for host in 127.0.0.1 ::1; do
             \"$0\" --ping -u -i 0.005 -c 200 -W 0.3 -q --format json $host || true
         done
         # A second for new connections; a connection that stands may ask as often as it likes.
         sleep 1.5
         \"$0\" --ping -t -i 0.005 -c 200 -W 5 -q --format json 127.0.0.1 || true
         \"$0\" -zu -I 192.0.2.9 -W 0.2 127.0.0.1 --format json || true"
        );
        let ended = run(namespace.run(env!("CARGO_BIN_EXE_reactor-client"), "", &script));
        let lines = ended.out.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let told: Vec<_> = lines.filter(|line| line["event"] == "summary" || line["event"] == "verdict").collect();
        assert_eq!((ended.code, told.len()), (0, 4), "{:?} {:?}", ended.out, ended.err);
        for askers in &told[..2] {
            let answered = askers["acknowledged"].as_u64().unwrap() + askers["late"].as_u64().unwrap();
            // Forty at once, then twenty a second: of a thousand milliseconds' two hundred some sixty.
            assert!((40..150).contains(&answered), "{askers}");
        }
        // A busy machine may keep the client from sending some.
        let stands = &told[2];
        assert!(stands["lost"] == 0 && stands["acknowledged"].as_u64().unwrap() > 100, "{stands}");
        assert_eq!(told[3]["verdict"], "silent", "{}", told[3]);
    });
}
