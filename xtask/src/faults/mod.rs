//! `cargo xtask faults`: makes each system call of each verb fail in turn, and looks whether the program bears it.
//!
//! A scenario is a short real conversation with a peer that the sweep holds. It is played once to count the calls, then once for
//! each call, each time it is made, and each error that its manual page lists: strace(1) injects the error into the program under
//! test and into nothing else. Where files are written, SIGKILL comes at each call too.

mod case;
mod errnos;
mod peer;
mod plan;
mod scenarios;
mod stage;
mod state;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use case::Case;
use scenarios::Scenario;
use stage::{PATIENCE, Stage, Tracing};
use state::State;
use verdict::{Verdict, judge};

const USAGE: &str = "cargo xtask faults [--only VERB] [--fault ERRNO|KILL] [--sample N] [--seed S] [--jobs N] [--anew] [--list] [--case CASE]…";

#[derive(Debug, Default)]
struct Options {
    only: Option<String>,
    fault: Option<String>,
    sample: Option<usize>,
    seed: u64,
    jobs: Option<usize>,
    /// Forget what was tried.
    anew: bool,
    list: bool,
    cases: Vec<Case>,
}

impl Options {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { seed: 1, ..Self::default() };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
            let number = |text: String| text.parse().map_err(|_| format!("`{text}` is no number"));
            match word.as_str() {
                "--only" => options.only = Some(value()?),
                "--fault" => options.fault = Some(value()?),
                "--sample" => options.sample = Some(number(value()?)?),
                "--seed" => options.seed = number(value()?)? as u64,
                "--jobs" => options.jobs = Some(number(value()?)?),
                "--case" => options.cases.push(value()?.parse()?),
                "--anew" => options.anew = true,
                "--list" => options.list = true,
                _ => return Err(format!("`{word}` is not known\n{USAGE}")),
            }
        }
        Ok(options)
    }

    /// By the verb, `talk --play` being part of `talk`, or by a scenario's name.
    fn takes(&self, scenario: &Scenario) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| scenario.verb.starts_with(only.as_str()) || scenario.name.starts_with(only.as_str()))
    }
}

/// Runs the sweep that the words ask for; an error is a verdict that is bad, or a sweep that cannot run.
pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), String> {
    let options = Options::parse(words)?;
    if !crate::is_there("strace") {
        return Err("the sweep needs strace; as root: apt-get install -y strace".to_owned());
    }
    let program = build()?;
    let codes = documented_codes(&program)?;
    let scenarios: Vec<Scenario> = scenarios::all().into_iter().filter(|one| options.takes(one)).collect();
    if scenarios.is_empty() {
        return Err(format!("no scenario is of that verb; there are: {}", names(&scenarios::all())));
    }
    if !options.cases.is_empty() {
        let shown = options.cases.iter().map(|case| show(case, &program, &codes)).collect::<Result<Vec<bool>, _>>()?;
        return if shown.contains(&false) { Err("borne badly".to_owned()) } else { Ok(()) };
    }
    let began = Instant::now();
    let mut cases = plan(&scenarios, &program, &codes, &options)?;
    if let Some(fault) = &options.fault {
        cases.retain(|case| case.fault.name() == fault);
    }
    println!("{} faults in {} scenarios ({})", cases.len(), scenarios.len(), names(&scenarios));
    for (calls, why) in errnos::LEFT_OUT {
        println!("left out: {calls}: {why}");
    }
    if let Some(number) = options.sample {
        cases = plan::sample(cases, number, options.seed);
        println!("a sample of {}, seed {}", cases.len(), options.seed);
    }
    if options.list {
        cases.iter().for_each(|case| println!("{case}"));
        return Ok(());
    }
    let target = folder();
    let state_path = target.join("state");
    if options.anew {
        let _ = fs::rename(&state_path, state_path.with_extension("before"));
    }
    // A sample is small and always runs as a whole.
    let path =
        if options.sample.is_some() { target.join(format!("sample-{}", std::process::id())) } else { state_path };
    let state = Mutex::new(State::open(&path, &identity(&program)?)?);
    sweep(&cases, &scenarios, &program, &codes, &options, &state);
    let state = state.into_inner().map_err(|_| "a worker panicked")?;
    if options.sample.is_some() {
        let _ = fs::remove_file(&path);
    }
    summarize(&cases, &scenarios, &state)?;
    println!("no fault was borne badly, in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn names(scenarios: &[Scenario]) -> String {
    scenarios.iter().map(|one| one.name).collect::<Vec<_>>().join(", ")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/faults")
}

/// Builds the program without the dynamic loader, whose calls would come first in every count.
fn build() -> Result<PathBuf, String> {
    let folder = folder();
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let built = folder.join("../debug/sockeye");
    // A copy for this sweep, so that a build meanwhile changes nothing; copies of sweeps that are over go.
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix("sockeye-"));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let program = folder.join(format!("sockeye-{}", std::process::id()));
    crate::run(
        "cargo",
        &["rustc", "--quiet", "-p", "sockeye-cli", "--bin", "sockeye", "--", "-C", "target-feature=+crt-static"],
    )?;
    fs::copy(&built, &program).map_err(|error| format!("{}: {error}", built.display()))?;
    // In its place stands again what everybody else runs there.
    crate::run("cargo", &["build", "--quiet", "-p", "sockeye-cli", "--bin", "sockeye"])?;
    program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))
}

/// Which program this is: a sweep goes on only with the same one.
fn identity(program: &Path) -> Result<String, String> {
    let bytes = fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    // FNV-1a: a program is not forged to go on with a sweep.
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    Ok(format!("{hash:016x}"))
}

/// The exit codes that the help lists.
fn documented_codes(program: &Path) -> Result<Vec<i32>, String> {
    let help = Command::new(program).arg("--help").output().map_err(|error| error.to_string())?;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let table = help.split("Exit codes:").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let codes: Vec<i32> = table.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    if codes.len() > 10 { Ok(codes) } else { Err("the help lists no exit codes".to_owned()) }
}

/// Counts the calls of all scenarios, several at once.
fn plan(scenarios: &[Scenario], program: &Path, codes: &[i32], options: &Options) -> Result<Vec<Case>, String> {
    let next = AtomicUsize::new(0);
    let planned = Mutex::new(BTreeMap::new());
    let count = || {
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            let cases = plan::cases(scenario, program, codes);
            planned.lock().expect("no worker panics").insert(scenario.name, cases);
        }
    };
    thread::scope(|scope| (0..jobs(options)).for_each(|_| drop(scope.spawn(count))));
    let planned = planned.into_inner().map_err(|_| "a worker panicked")?;
    let (mut cases, mut wrong) = (Vec::new(), Vec::new());
    for found in planned.into_values() {
        found.map_or_else(|why| wrong.push(why), |found| cases.extend(found));
    }
    if wrong.is_empty() { Ok(cases) } else { Err(wrong.join("\n")) }
}

/// Most of a run is waiting, for a process and for a peer.
fn jobs(options: &Options) -> usize {
    options.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(2, |cores| cores.get() * 3))
}

fn sweep(
    cases: &[Case],
    scenarios: &[Scenario],
    program: &Path,
    codes: &[i32],
    options: &Options,
    state: &Mutex<State>,
) {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(at) else { return };
            if at % 1000 == 999 {
                println!("{} of {}, {:.0} s", at + 1, cases.len(), began.elapsed().as_secs_f64());
            }
            if state.lock().expect("no worker panics").done.contains_key(&case.to_string()) {
                continue;
            }
            let Some(scenario) = scenarios.iter().find(|one| one.name == case.scenario) else { continue };
            let (verdict, why) = attempt(case, scenario, program, codes);
            if verdict.is_bad() {
                println!("{}: {case}: {why}", verdict.name());
            }
            state.lock().expect("no worker panics").note(case, verdict, &why);
        }
    };
    thread::scope(|scope| (0..jobs(options)).for_each(|_| drop(scope.spawn(work))));
}

/// One fault, and its verdict. Where the verdict rests on time, a second run with more of it decides.
fn attempt(case: &Case, scenario: &Scenario, program: &Path, codes: &[i32]) -> (Verdict, String) {
    let once = |patience| match Stage::set(program, Tracing::Inject(case.clone()), patience) {
        Ok(stage) => judge(Some(case), &(scenario.play)(&stage), codes),
        Err(why) => (Verdict::Harmed, why),
    };
    match once(PATIENCE) {
        (Verdict::Hung | Verdict::Harmed, _) => once(PATIENCE * 2),
        verdict => verdict,
    }
}

/// Counts by verb and verdict, and how to see each bad one again.
fn summarize(cases: &[Case], scenarios: &[Scenario], state: &State) -> Result<(), String> {
    let mut counts: BTreeMap<&str, BTreeMap<Verdict, usize>> = BTreeMap::new();
    let mut bad = Vec::new();
    for case in cases {
        let Some((verdict, why)) = state.done.get(&case.to_string()) else { continue };
        let Some(scenario) = scenarios.iter().find(|one| one.name == case.scenario) else { continue };
        *counts.entry(scenario.verb).or_default().entry(*verdict).or_default() += 1;
        if verdict.is_bad() {
            bad.push(format!("{}: {why}\n  cargo xtask faults --case {case}", verdict.name()));
        }
    }
    print!("{:<16}{:>8}", "verb", "runs");
    Verdict::ALL.iter().for_each(|verdict| print!("{:>9}", verdict.name()));
    println!();
    let mut total: BTreeMap<Verdict, usize> = BTreeMap::new();
    let row = |verb: &str, found: &BTreeMap<Verdict, usize>| {
        print!("{verb:<16}{:>8}", found.values().sum::<usize>());
        Verdict::ALL.iter().for_each(|verdict| print!("{:>9}", found.get(verdict).unwrap_or(&0)));
        println!();
    };
    for (verb, found) in &counts {
        row(verb, found);
        found.iter().for_each(|(verdict, count)| *total.entry(*verdict).or_default() += count);
    }
    row("all", &total);
    if bad.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n{} faults were borne badly", bad.join("\n"), bad.len()))
}

/// One case again, with all that it said.
fn show(case: &Case, program: &Path, codes: &[i32]) -> Result<bool, String> {
    let all = scenarios::all();
    let scenario =
        all.iter().find(|one| one.name == case.scenario).ok_or_else(|| format!("there are {}", names(&all)))?;
    let stage = Stage::set(program, Tracing::Inject(case.clone()), PATIENCE)?;
    println!("{:?}", stage.command(&stage.tracing));
    let outcome = (scenario.play)(&stage);
    let (verdict, why) = judge(Some(case), &outcome, codes);
    println!("{outcome:#?}\n{case}: {}: {why}", verdict.name());
    Ok(!verdict.is_bad())
}
