//! Which faults there are: every call of a run without faults, each time it is made, with each error that it can give.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::case::{Case, Fault};
use super::errnos;
use super::scenarios::{Files, Scenario};
use super::stage::{PATIENCE, Stage, Tracing};
use super::verdict::{Verdict, judge};

/// More often than this no call is made to fail in one scenario; what this leaves out is said.
const MOST: usize = 64;

/// What Rust's runtime does before main and cannot do without: the first signal that is ignored, and a look whether the standard
/// streams are open. The kernel does not let them fail so.
fn is_before_main(case: &Case) -> bool {
    let is_fault = case.fault == Fault::Error("EFAULT".to_owned());
    case.nth == 1 && case.fault != Fault::Kill && (case.call == "rt_sigaction" || (case.call == "poll" && is_fault))
}

/// Counts the calls of a run without faults, which must go well, and makes cases of them.
pub(crate) fn cases(scenario: &Scenario, program: &Path, codes: &[i32]) -> Result<Vec<Case>, String> {
    let mut counts = BTreeMap::new();
    // Threads make calls at different times, so a count differs from run to run.
    for _ in 0..2 {
        for (call, count) in count(scenario, program, codes)? {
            let most: &mut usize = counts.entry(call).or_default();
            *most = count.max(*most);
        }
    }
    let mut cases = Vec::new();
    for (call, count) in counts {
        if errnos::is_left_out(&call) {
            continue;
        }
        let Some(errors) = errnos::of(&call) else {
            return Err(format!("{}: errnos.rs does not know {call}(2): add what its page lists", scenario.name));
        };
        let case = |fault, nth| Case { scenario: scenario.name.to_owned(), call: call.clone(), fault, nth };
        let times = count.min(MOST);
        for error in errors {
            cases.extend((1..=times).map(|nth| case(Fault::Error(error.to_owned()), nth)));
        }
        if scenario.files == Files::Written {
            cases.extend((1..=times).map(|nth| case(Fault::Kill, nth)));
        }
    }
    cases.retain(|case| !is_before_main(case));
    Ok(cases)
}

fn count(scenario: &Scenario, program: &Path, codes: &[i32]) -> Result<BTreeMap<String, usize>, String> {
    let mut told = String::new();
    // The second try is for a machine that was busy with something else.
    for _ in 0..2 {
        let mut stage = Stage::set(program, Tracing::Off, PATIENCE * 2)?;
        let trace = stage.path("trace");
        stage.tracing = Tracing::Count(trace.clone());
        let outcome = (scenario.play)(&stage);
        match judge(None, &outcome, codes) {
            (Verdict::Fine, _) => return Ok(calls(&fs::read_to_string(&trace).unwrap_or_default())),
            (verdict, why) => {
                let missing = outcome.missing.unwrap_or_default();
                told = format!("{} without a fault: {}: {why} {missing}", scenario.name, verdict.name());
            }
        }
    }
    Err(told)
}

/// How often each call is made by the thread that makes it most often.
fn calls(trace: &str) -> BTreeMap<String, usize> {
    let mut threads: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        // `<... read resumed>` is the second half of a call, `+++ exited` and `--- SIGTERM` are none.
        if call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            *threads.entry((thread, call)).or_default() += 1;
        }
    }
    let mut calls = BTreeMap::new();
    for ((_, call), count) in threads {
        let most: &mut usize = calls.entry(call.to_owned()).or_default();
        *most = count.max(*most);
    }
    calls
}

/// So many of the cases, the same for the same seed.
pub(crate) fn sample(mut cases: Vec<Case>, number: usize, seed: u64) -> Vec<Case> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = |below: usize| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).unwrap_or(0) % below
    };
    let number = number.min(cases.len());
    for at in 0..number {
        let other = at + random(cases.len() - at);
        cases.swap(at, other);
    }
    cases.truncate(number);
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_in_each_thread_by_itself() {
        let trace = "1 read(3, \"\", 1) = 0\n1 <... read resumed>) = 1\n12  read(3,  <unfinished ...>\n12 read(3) = 0\n\
                     1 close(3) = 0\n1 --- SIGTERM {si_signo=SIGTERM} ---\n1 +++ exited with 0 +++\n";
        let counts = calls(trace);
        assert_eq!(counts.iter().map(|(call, n)| (call.as_str(), *n)).collect::<Vec<_>>(), [("close", 1), ("read", 2)]);
    }

    #[test]
    fn a_sample_is_the_same_for_the_same_seed_and_has_no_case_twice() {
        let all: Vec<Case> = (1..=100).map(|n| format!("s:read:EIO:{n}").parse().unwrap()).collect();
        let one = sample(all.clone(), 30, 7);
        assert_eq!(one, sample(all.clone(), 30, 7));
        assert_ne!(one, sample(all.clone(), 30, 8));
        let mut sorted = one;
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), 30);
        assert_eq!(sample(all, 1000, 1).len(), 100);
    }
}
