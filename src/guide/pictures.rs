//! The pictures of the guide, made from the texts in `pictures/`. Each `NAME.pikchr` gives two files beside it:
//! `NAME.svg`, and `NAME.uri`, the same as a link reference for rustdoc, which shows `![words][NAME.svg]` by it.
//!
//! ```sh
//! cargo run --features pictures --example pictures             # makes them
//! cargo run --features pictures --example pictures -- --check  # names those that are not what their text makes
//! ```

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use base64::{Engine, engine::general_purpose::STANDARD};
use pikchr::{Pikchr, PikchrFlags};

const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/pictures");
/// Ink and paper follow what the reader's system prefers; a page may have another theme, so the picture brings both.
const STYLE: &str = "svg{color:#1f2328;background:#fff;font:15px system-ui,-apple-system,'Segoe UI','Noto Sans',Helvetica,Arial,sans-serif}\
    @media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}";
/// The colours that a text may name, and what stands for them, on light paper and on dark.
const PALETTE: [(&str, &str); 9] = [
    ("rgb(0,0,0)", "currentColor"),                // black: what nobody names
    ("rgb(128,128,128)", "rgb(128,136,146)"),      // gray
    ("rgb(211,211,211)", "rgba(128,136,146,.16)"), // lightgray
    ("rgb(173,216,230)", "rgba(64,144,240,.22)"),  // lightblue
    ("rgb(144,238,144)", "rgba(48,172,88,.26)"),   // lightgreen
    ("rgb(255,182,193)", "rgba(232,72,88,.24)"),   // lightpink
    ("rgb(255,165,0)", "rgba(240,150,30,.42)"),    // orange
    ("rgb(70,130,180)", "rgb(58,136,226)"),        // steelblue
    ("rgb(220,20,60)", "rgb(222,62,80)"),          // crimson
];
/// Words stand in the middle of their height; not every viewer knows how pikchr says that.
const MIDDLE: (&str, &str) = ("dominant-baseline=\"central\"", "dy=\".34em\"");

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let only_checks = arguments == ["--check"];
    let done = match only_checks || arguments.is_empty() {
        true => make_all(only_checks),
        false => Err("the only argument is --check".to_owned()),
    };
    let Err(why) = done else {
        return ExitCode::SUCCESS;
    };
    // A failure leaves nothing to do.
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}

fn make_all(only_checks: bool) -> Result<(), String> {
    let listed = fs::read_dir(PICTURES).and_then(|all| all.map(|entry| Ok(entry?.path())).collect());
    let mut texts: Vec<PathBuf> = listed.map_err(|error| format!("cannot list {PICTURES}: {error}"))?;
    texts.retain(|path| path.extension().is_some_and(|extension| extension == "pikchr"));
    texts.sort();
    let mut differing = Vec::new();
    for path in texts {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {name}.pikchr: {error}"))?;
        let svg = draw(&text).map_err(|why| format!("cannot draw {name}.pikchr: {why}"))?;
        let uri = format!("[{name}.svg]: data:image/svg+xml;base64,{}\n", STANDARD.encode(&svg));
        for (made, contents) in [(path.with_extension("svg"), svg), (path.with_extension("uri"), uri)] {
            if !only_checks {
                fs::write(&made, contents).map_err(|error| format!("cannot write {}: {error}", made.display()))?;
            } else if fs::read_to_string(&made).ok() != Some(contents) {
                differing.push(format!("{} is not what {name}.pikchr makes", made.display()));
            }
        }
    }
    if differing.is_empty() { Ok(()) } else { Err(differing.join("\n")) }
}

/// The SVG of a text, titled with its first line, a comment.
fn draw(text: &str) -> Result<String, String> {
    let title = text.lines().next().and_then(|line| line.strip_prefix("# "));
    let title = title.ok_or("its first line is not the comment that says what it shows")?;
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let drawn = Pikchr::render(text, None, PikchrFlags::default())?;
    let size = format!("width=\"{}\" height=\"{}\" role=\"img\"", drawn.width(), drawn.height());
    let head = format!("\n<title>{title}</title>\n<style>{STYLE}</style>\n");
    let svg = drawn.replace("style='font-size:initial;'", &size).replace(MIDDLE.0, MIDDLE.1).replacen('\n', &head, 1);
    let unnamed = PALETTE.iter().fold(svg.clone(), |rest, (named, _)| rest.replace(named, ""));
    if unnamed.contains("rgb(") {
        return Err("it names a colour that the palette does not have".to_owned());
    }
    Ok(PALETTE.iter().fold(svg, |svg, (named, stands)| svg.replace(named, stands)))
}
