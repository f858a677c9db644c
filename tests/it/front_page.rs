//! The front page is one page, it leads somewhere, and what the programs can do is written there or in the guide.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Launch, Path as BadPath, have, output, run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The guide's chapters by name, without the `.md`.
fn chapters() -> Vec<String> {
    let entries = fs::read_dir(Path::new(ROOT).join("src/guide")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.filter_map(|name| name.to_str()?.strip_suffix(".md").map(str::to_owned));
    names.filter(|name| !["seventy_lines", "links"].contains(&name.as_str()) && !name.contains('.')).collect()
}

#[test]
fn it_has_at_most_250_lines() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 250, "{lines} lines: what is not for the front page belongs into src/guide");
}

#[test]
fn its_links_lead_to_files_of_this_repository() {
    let readme = read("README.md");
    let links: Vec<&str> = readme.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect();
    assert!(links.len() > 5, "{links:?}");
    for link in links.iter().filter(|link| !link.contains("://")) {
        assert!(Path::new(ROOT).join(link).is_file(), "{link}");
    }
}

/// What only links between the languages have.
const OTHER_LANGUAGE: [&str; 2] = ["README", "zh-CN"];

/// A page as far as no language matters: what is fenced, the cells of each table with their code, the links.
#[derive(Debug, PartialEq)]
struct Bones {
    fenced: Vec<String>,
    rows: Vec<(usize, BTreeSet<String>)>,
    headings: usize,
    links: BTreeSet<String>,
}

impl Bones {
    fn of(page: &str) -> Bones {
        let text = read(page);
        let (mut fenced, mut plain) = (Vec::new(), String::new());
        for (index, part) in text.split("```").enumerate() {
            match index % 2 {
                0 => plain += part,
                _ => fenced.push(part.to_owned()),
            }
        }
        let code = |row: &str| row.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let targets = |begin, end: char| plain.split(begin).skip(1).filter_map(move |rest: &str| rest.split_once(end));
        let links = targets("](", ')').chain(targets("][", ']')).map(|(target, _)| target.to_owned());
        // To itself in the other language.
        let is_own = |link: &String| {
            page.contains(link.trim_end_matches(" zh")) || OTHER_LANGUAGE.iter().any(|other| link.contains(other))
        };
        Bones {
            fenced,
            rows: plain
                .lines()
                .filter(|line| line.starts_with('|'))
                .map(|row| (row.matches('|').count(), code(row)))
                .collect(),
            headings: plain.lines().filter(|line| line.starts_with("## ")).count(),
            links: links.filter(|link| !is_own(link)).collect(),
        }
    }
}

#[test]
fn the_chinese_ones_are_in_step() {
    let pages = ["README", "src/guide/exercise", "src/guide/glossary"];
    for (page, least) in pages.into_iter().zip([40, 9, 35]) {
        let (english, chinese) = (format!("{page}.md"), format!("{page}.zh-CN.md"));
        let (own, other) = (Bones::of(&english), Bones::of(&chinese));
        assert!(own.rows.len() > least, "{own:?}");
        for (own, other) in own.rows.iter().zip(&other.rows) {
            assert_eq!(own, other, "{page}");
        }
        assert_eq!(own, other, "{page}");
        let (english, chinese) = (read(&english), read(&chinese));
        assert_eq!(long_options(&english), long_options(&chinese), "{page}");
    }
    let (english, chinese) = (read("README.md"), read("README.zh-CN.md"));
    assert!(english.contains("](README.zh-CN.md)") && chinese.contains("](README.md)"));
}

#[test]
fn it_and_the_guide_name_every_chapter() {
    let (readme, guide) = (read("README.md"), read("src/guide/mod.rs"));
    assert!(chapters().len() >= 4);
    for chapter in chapters() {
        assert!(readme.contains(&format!("](src/guide/{chapter}.md)")), "the README does not lead to {chapter}");
        for line in [format!("//! | [`{chapter}`] |"), format!("include_str!(\"{chapter}.md\")")] {
            assert!(guide.contains(&line), "src/guide/mod.rs has no '{line}'");
        }
    }
}

#[test]
fn the_files_that_the_guide_names_are_there() {
    let mut named = 0;
    for chapter in chapters() {
        let text = read(&format!("src/guide/{chapter}.md"));
        let code = text.split('`').skip(1).step_by(2);
        for file in code.filter(|code| code.ends_with(".rs") && code.contains('/') && !code.contains(' ')) {
            let is_there =
                [format!("src/{file}"), file.to_owned()].iter().any(|file| Path::new(ROOT).join(file).is_file());
            assert!(is_there, "{chapter} names {file}");
            named += 1;
        }
    }
    assert!(named > 20, "{named} files are named");
}

#[test]
fn the_defects_that_the_guide_sets_as_exercises_are_on_file() {
    let (practice, defects) = (read("src/guide/practice.md"), read("tests/defects/prove"));
    let table = practice.split_once("| plant |").unwrap().1.split_once("\n\n").unwrap().0;
    let names: Vec<&str> = table.lines().skip(2).filter_map(|row| row.strip_prefix("| ")?.split(" |").next()).collect();
    assert_eq!(names.len(), 10, "{names:?}");
    for name in names {
        assert!(defects.contains(&format!("    \"{name}\": (")), "{name}");
    }
}

/// One whose place has changed would be noticed by nobody before all of them are planted, which takes an hour.
#[test]
fn every_defect_on_file_still_has_its_place() {
    if !have("python3") {
        return;
    }
    let listed = output(Command::new(Path::new(ROOT).join("tests/defects/prove")).arg("--list")).unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
}

#[test]
fn every_long_option_is_named_in_it_or_in_the_guide() {
    let chapters = chapters().into_iter().map(|chapter| read(&format!("src/guide/{chapter}.md")));
    let written: String = chapters.chain([read("README.md")]).collect();
    let written = long_options(&written);
    for launch in [Launch::server, Launch::client] {
        let help = run(launch(&["--help"])).out.join("\n");
        let options = long_options(&help);
        assert!(options.len() >= 10, "{help}");
        let missing: Vec<_> = options.difference(&written).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

#[test]
fn the_boxes_of_the_guide_stand() {
    let guide = read("src/guide/recipes.md");
    let commands = guide.lines().filter_map(|line| line.split_once("--example path -- 127.0.0.1:7777 127.0.0.1:6666 "));
    let faults = guide.lines().filter_map(|line| line.strip_prefix("| `--")?.split_once("` |"));
    let options = commands.map(|command| command.1.to_owned()).chain(faults.map(|fault| format!("--{}", fault.0)));
    let options: Vec<String> = options.collect();
    assert!(options.len() >= 7, "{options:?}");
    for options in options {
        let Some(path) = BadPath::to(([127, 0, 0, 1], 6666).into(), &options) else { return };
        path.counts();
    }
}

/// All `--words` in a text.
fn long_options(text: &str) -> BTreeSet<&str> {
    let is_part = |char: char| char.is_ascii_lowercase() || char == '-';
    let words = text.split(|char| !is_part(char)).map(|word| word.trim_end_matches('-'));
    words.filter(|word| word.starts_with("--") && !word.starts_with("---")).collect()
}
