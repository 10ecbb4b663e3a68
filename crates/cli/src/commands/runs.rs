//! `sockeye report`: saved runs, merged and compared. What came of the plays of `talk` is in `report.rs`.

use std::path::PathBuf;

use serde_json::json;
use sockeye::figures::{Comparison, Metric, Run, Verdict, compare, merge, missing_shards};

use crate::exit::Exit;
use crate::figures;
use crate::flags;
use crate::output::Console;
use crate::sys::is_stdout;
use crate::whole;

/// Prints what was measured, and judges it if it is asked to.
pub(crate) fn run(flags: &flags::Report, console: &Console) -> Exit {
    let (Ok(exit) | Err(exit)) = report(flags, console);
    console.flush();
    exit
}

fn report(flags: &flags::Report, console: &Console) -> Result<Exit, Exit> {
    let run = merged(&flags.files, console)?;
    let base = if flags.against.is_empty() { None } else { Some(merged(&flags.against, console)?) };
    let compared = base.as_ref().map(|base| compare(&run, base));
    let mut text = figures::summary(&run);
    if let Some(Ok(compared)) = &compared {
        text.push_str(&figures::comparison(compared));
    }
    if let Some(path) = &flags.save {
        whole::write(path, &run.to_json(), console)?;
    }
    let against = match (&base, &compared) {
        (Some(base), Some(Ok(compared))) => Some((base, compared)),
        _ => None,
    };
    if let Some(path) = &flags.report {
        whole::write(path, &figures::page(&run, against), console)?;
    }
    match print(&text, [&flags.save, &flags.report], console) {
        Exit::Done => {}
        failed => return Err(failed),
    }
    run.all_warnings().for_each(|warning| console.warn(warning));
    if !run.never_played.is_empty() {
        console.warn(&format!("no play of {} came to an end", run.never_played.join(", ")));
    }
    if let Some(base) = &base {
        base.all_warnings().for_each(|warning| console.warn(&format!("in the base: {warning}")));
    }
    let Some(compared) = compared else { return Ok(Exit::Done) };
    let compared = compared.map_err(|why| console.fail(Exit::Differs, &why.to_string()))?;
    compared.warnings.iter().for_each(|warning| console.warn(warning));
    if console.json {
        console.tell(&told(&compared));
    }
    let Some(most) = flags.fail_if_slower else { return Ok(Exit::Done) };
    let absent = [Some(&run), base.as_ref()].into_iter().flatten().flat_map(missing_shards).next();
    if let Some(shard) = absent {
        return Err(console.fail(Exit::Differs, &format!("shard {shard} is missing: what is not whole is not judged")));
    }
    match too_slow(&compared, most) {
        Some(why) => Err(console.fail(Exit::Differs, &why)),
        None => Ok(Exit::Done),
    }
}

/// Why a run does not pass, if it does not.
fn too_slow(compared: &Comparison, most: f64) -> Option<String> {
    let change = compared.decisive();
    let slower_by = change.slower_by();
    if slower_by <= most {
        return None;
    }
    let [by, bound] = [slower_by, most].map(figures::units::percent);
    let what = match change.metric {
        Metric::Rate => "the rate is lower",
        _ => "the mean latency is higher",
    };
    match change.interval {
        Some((low, high)) if low <= 1.0 && high >= 1.0 => None,
        Some(_) => Some(format!("{what} than the base's by {by}, more than {bound}")),
        None => Some(format!(
            "{what} than the base's by {by}, more than {bound}, and too few whole seconds were measured to tell whether that is noise: take at least ten"
        )),
    }
}

fn told(compared: &Comparison) -> serde_json::Value {
    let name = |verdict| match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::Noise => "noise",
    };
    let changes: serde_json::Map<String, serde_json::Value> = compared
        .changes
        .iter()
        .map(|change| {
            let interval = change.interval.map(|(low, high)| [low, high]);
            let verdict = name(change.verdict);
            let value = json!({"base": change.base, "run": change.value, "ratio": change.ratio, "interval": interval, "verdict": verdict});
            (change.metric.to_string(), value)
        })
        .collect();
    let (verdict, by) = (name(compared.verdict()), compared.decisive.to_string());
    json!({"event": "compared", "verdict": verdict, "by": by, "changes": changes})
}

/// The runs of files as one.
fn merged(paths: &[PathBuf], console: &Console) -> Result<Run, Exit> {
    let mut runs = Vec::new();
    for path in paths {
        let run = Run::open(path).map_err(|error| console.fail(Exit::from(&error), &error.to_string()))?;
        runs.push((path.display().to_string(), run));
    }
    merge(runs).map_err(|error| console.fail(Exit::Usage, &error.to_string()))
}

/// Prints what was measured; where a file was to be standard output, it has that for itself.
pub(super) fn print(text: &str, files: [&Option<PathBuf>; 2], console: &Console) -> Exit {
    if files.into_iter().flatten().any(|path| is_stdout(path)) {
        if !console.quiet {
            console.complain(text.trim_end());
        }
        return Exit::Done;
    }
    console.print(text.as_bytes())
}
