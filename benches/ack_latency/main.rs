//! How long an acknowledgement takes: `cargo bench`.
//!
//! Every measurement starts the server, as a process of its own, talks to it over loopback from one thread, and ends
//! it; then does the same with the **floor**, blocking `std::net` sockets in another process of this program. The two
//! take turns, so that the machine's drift meets both alike, and the ratio of a row is the median over the rounds. It
//! says more than the times, which are those of the machine.
//!
//! ```text
//! cargo bench                       the whole table, within two minutes
//! cargo bench -- tcp 1024           the rows whose name holds every word
//! cargo bench -- --quick            ten seconds
//! cargo bench -- --json FILE        saves the figures as well
//! cargo bench -- --scale            the other table, within two minutes: how the cost grows; words, --quick, --json too
//! ```
//!
//! | room | what it does |
//! |---|---|
//! | `row` | what is measured |
//! | `far` | the other process: the server or the floor, and its end |
//! | `leash` | what is started ends with what started it |
//! | `floor` | the shortest way to acknowledge |
//! | `load` | the load: messages in flight on each connection |
//! | `files` | where the figures are saved |
//! | `meter` | processor time and memory of the other process |
//! | `report` | the table |
//! | `scale` | the other table: connections, sizes, depths |

mod far;
mod files;
mod floor;
mod leash;
mod load;
mod meter;
mod report;
mod row;
mod scale;

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ack_reactor::process::limits::raise_descriptor_limit;
use clap::Parser;

use self::far::Far;
use self::files::{Distributions, Json};
use self::leash::become_leashed;
use self::report::{Figures, Report};
use self::row::{Row, lone_rows, rows};
use self::scale::Table;

/// Descriptors that are not left to idle connections: more than this program and the server need otherwise.
const RESERVE: usize = 64;
/// Connections at most where it is only shown that it works.
const TESTED: usize = 100;

#[derive(Debug, Default, Parser)]
#[command(bin_name = "cargo bench --", about = "Measures how long an acknowledgement takes")]
struct Options {
    /// Measure only the rows whose name holds every one of these words
    words: Vec<String>,
    /// Take ten seconds instead of two minutes
    #[arg(long)]
    quick: bool,
    /// Measure how the cost grows with connections (up to the descriptor limit), sizes and messages in flight
    #[arg(long)]
    scale: bool,
    /// Save the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// cargo says so when it benches, and not when it tests
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the other process: the floor of the row with this number, of both tables
    #[arg(long, hide = true)]
    floor: Option<usize>,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
struct Plan {
    rounds: u32,
    /// Before each measurement: the exchange goes on, but is not counted.
    warm_up: Duration,
    measured: Duration,
    /// No round begins that would end later.
    limit: Duration,
}

impl Plan {
    const FULL: Plan = Plan::new(5, 100, 500, 110);
    const QUICK: Plan = Plan::new(3, 20, 50, 9);
    /// Shows that it works, and nothing more.
    const TEST: Plan = Plan::new(1, 5, 20, 9);

    const fn new(rounds: u32, warm_up_ms: u64, measured_ms: u64, limit_s: u64) -> Plan {
        Plan {
            rounds,
            warm_up: Duration::from_millis(warm_up_ms),
            measured: Duration::from_millis(measured_ms),
            limit: Duration::from_secs(limit_s),
        }
    }
}

fn main() -> ExitCode {
    if let Err(error) = become_leashed(std::env::args_os().skip(1)) {
        return failure(&error);
    }
    let told = |option| std::env::args().any(|word| word == option);
    let testing = !told("--bench") && !told("--floor");
    if testing && told("--list") {
        // It is one thing, and has no name.
        return ExitCode::SUCCESS;
    }
    let options = match Options::try_parse() {
        Ok(options) => options,
        // The words were meant for the tests that run beside this one.
        Err(_) if testing => Options::default(),
        Err(error) => error.exit(),
    };
    match run(&options, testing) {
        Ok(code) => code,
        Err(error) => failure(&*error),
    }
}

fn failure(error: &dyn Error) -> ExitCode {
    show_progress("");
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::FAILURE
}

fn run(options: &Options, testing: bool) -> Result<ExitCode, Box<dyn Error>> {
    if let Some(number) = options.floor {
        floor::acknowledge(rows().into_iter().chain(lone_rows()).nth(number).as_ref().ok_or("no such row")?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let limit = raise_descriptor_limit();
    let most = limit.map_or(usize::MAX, |limit| limit.saturating_sub(RESERVE));
    let plan = match (testing, options.quick) {
        (true, _) => Plan::TEST,
        (false, true) => Plan::QUICK,
        (false, false) => Plan::FULL,
    };
    let chosen = |rows: Vec<Row>| {
        let named = |row: &Row| options.words.iter().all(|word| row.name().contains(word));
        Some(rows.into_iter().filter(named).collect::<Vec<_>>()).filter(|rows| !rows.is_empty())
    };
    let round_trips = (!options.scale).then(rows).and_then(chosen);
    let costs = match (testing, options.scale) {
        (true, _) => Some(scale::rows(TESTED.min(most))),
        (false, true) => Some(scale::rows(most)),
        (false, false) => None,
    };
    let costs = costs.and_then(chosen);
    if round_trips.is_none() && costs.is_none() {
        writeln!(io::stderr(), "no row's name holds all of these words: {}", options.words.join(" "))?;
        if testing {
            return Ok(ExitCode::SUCCESS);
        }
        let all = if options.scale { scale::rows(most) } else { rows() };
        writeln!(io::stderr(), "the rows: {}", all.iter().map(Row::name).collect::<Vec<_>>().join(" "))?;
        return Ok(ExitCode::from(2));
    }
    if let (Some(limit), Some(row)) =
        (limit, round_trips.iter().chain(&costs).flatten().find(|row| row.connections > most))
    {
        return Err(format!("{} is too much for the descriptor limit of {limit}", row.name()).into());
    }
    let mut json = options.json.as_deref().map(Json::open).transpose()?;
    if let Some(rows) = round_trips {
        let idle = row::IDLE.min(most);
        let distributions = Distributions::open(testing)?;
        let (figures, rounds) = measure(&rows, plan, idle)?;
        let report = Report { rows: &figures, plan, rounds, idle, limit };
        distributions.save(&report)?;
        json.as_mut().map_or(Ok(()), |json| json.save(&report.to_json()))?;
        print(&format!("{report}the distributions: {}\n", distributions.folder().display()))?;
    }
    if let Some(rows) = costs {
        let (groups, rounds) = scale::measure(&rows, plan)?;
        let table = Table { rows: &rows, groups: &groups, plan, rounds, limit };
        json.as_mut().map_or(Ok(()), |json| json.save(&table.to_json()))?;
        print(&table.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a table. A reader that has seen enough of it (`head`) is no failure.
fn print(table: &str) -> io::Result<()> {
    match io::stdout().write_all(table.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Measures every row in every round; tells also how many rounds there was time for.
fn measure(rows: &[Row], plan: Plan, idle: usize) -> Result<(Vec<Figures>, u32), Box<dyn Error>> {
    let began = Instant::now();
    let mut figures: Vec<_> = rows.iter().map(|row| Figures::new(*row)).collect();
    let mut rounds = 0;
    while rounds < plan.rounds && began.elapsed() / rounds.max(1) * (rounds + 1) <= plan.limit {
        rounds += 1;
        for (done, figures) in figures.iter_mut().enumerate() {
            let row = figures.row;
            show_progress(&format!(
                "round {rounds} of {}, row {} of {}: {}",
                plan.rounds,
                done + 1,
                rows.len(),
                row.name()
            ));
            let ours = || load::measure(&row, &Far::server(&row)?, plan, if row.idle { idle } else { 0 });
            let floor = || load::measure(&row, &Far::floor(&row)?, plan, 0);
            // Neither is always the one that comes first.
            let (ours, floor) = if rounds % 2 == 1 {
                let ours = ours().map_err(|error| format!("{}: {error}", row.name()))?;
                (ours, floor()?)
            } else {
                let floor = floor()?;
                (ours().map_err(|error| format!("{}: {error}", row.name()))?, floor)
            };
            figures.add(&ours, &floor);
        }
    }
    show_progress("");
    Ok((figures, rounds))
}

/// One line that is overwritten by the next, where a person watches.
fn show_progress(line: &str) {
    let mut out = io::stderr().lock();
    if out.is_terminal() {
        let _ = write!(out, "\r\x1b[K{line}");
        let _ = out.flush();
    }
}
