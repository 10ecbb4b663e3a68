//! `sockeye load`: the client's side on many connections at once, what was measured, and whether that is enough.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sockeye::address::{self, Address, AddressError};
use sockeye::figures::{Begun, LoadModel};
use sockeye::net::connect::ConnectOptions;
use sockeye::net::listen::protocol_of;
use sockeye::net::tls::Trust;
use sockeye::net::words;
use sockeye::stop;
use sockeye::verb::load::{
    Load, LoadError, LoadOptions, LoadOutcome, Page, Rows, Shard, Thresholds, Url, Weighted, Work,
};

use super::data;
use super::{connection, file, runs, signals};
use crate::exit::Exit;
use crate::figures;
use crate::flags::Load as Flags;
use crate::output::Console;
use crate::whole;

/// Loads a server.
pub(crate) fn run(flags: &Flags, console: &Console) -> Exit {
    let (Ok(exit) | Err(exit)) = load(flags, console);
    console.flush();
    exit
}

fn load(flags: &Flags, console: &Console) -> Result<Exit, Exit> {
    let options = options(flags, console)?;
    options
        .trust
        .check()
        .map_err(|error| console.fail(Exit::CannotRead, &format!("cannot use the certificates of --ca: {error}")))?;
    let load = Load::prepare(options).map_err(|error| refused(&error, console))?;
    for notice in load.notices() {
        console.note(&notice);
    }
    let cannot = |error| console.fail(Exit::NoResources, &format!("cannot watch for signals: {}", words(&error)));
    let (stopper, stop) = stop::channel().map_err(cannot)?;
    let signal = signals::stop_and_remember(&stopper).map_err(cannot)?;
    let mut live = figures::Live::start(console, &title(load.begun()), load.planned());
    let done = load.run(&stop, |snapshot| live.turn(snapshot));
    // What it drew goes before anything else is said.
    drop(live);
    let done = done.map_err(|error| match signal.exit() {
        Some(exit) => console.fail(exit, &error.to_string()),
        None => refused(&error, console),
    })?;
    conclude(flags, &done, signal.exit(), console)
}

/// What stands above the run while it goes on.
fn title(begun: &Begun) -> String {
    match &begun.files[..] {
        [] => format!("load of {}", begun.target),
        files => format!("load of {} playing {}", begun.target, files.join(", ")),
    }
}

fn refused(error: &LoadError, console: &Console) -> Exit {
    match error {
        LoadError::Refused(refused) => console.conclude(Exit::from(error), refused.clone()),
        _ => console.fail(Exit::from(error), &error.to_string()),
    }
}

/// Prints and writes what was measured, and says whether it is enough.
fn conclude(flags: &Flags, done: &LoadOutcome, interrupted: Option<Exit>, console: &Console) -> Result<Exit, Exit> {
    let run = &done.run;
    let mut exit = runs::print(&figures::summary(run), [&flags.save, &flags.report], console);
    run.all_warnings().for_each(|warning| console.warn(warning));
    if done.cut > 0 {
        console.note(&format!("{} plays were under way at the end, and are in no figure", done.cut));
    }
    let mut worst = |code: Exit| {
        if exit == Exit::Done {
            exit = code;
        }
    };
    // What cannot be written is told, and the rest is told all the same.
    if let Some(path) = &flags.save {
        whole::write(path, &run.to_json(), console).unwrap_or_else(&mut worst);
    }
    if let Some(path) = &flags.report {
        whole::write(path, &figures::page(run, None), console).unwrap_or_else(&mut worst);
    }
    let gates = Thresholds { p99: flags.max_p99, errors: flags.max_errors, rate: flags.min_rate };
    let counts = run.measured.counts;
    for missed in gates.missed(run) {
        // Where nothing at all went well, the first failure says why: there is no server, or not in time.
        let code = match done.first {
            Some(kind) if counts.plays == counts.failures => kind.into(),
            None if counts.plays == 0 && interrupted.is_none() => Exit::TimedOut,
            _ => Exit::Differs,
        };
        worst(console.fail(code, &missed.to_string()));
    }
    if done.is_short_of_files {
        worst(Exit::NoResources);
    }
    Ok(interrupted.unwrap_or(exit))
}

fn options(flags: &Flags, console: &Console) -> Result<LoadOptions, Exit> {
    let wrong = |why: &str| console.fail(Exit::Usage, why);
    let trust = connection::named_trust(flags.pin.as_ref(), flags.ca.as_deref());
    if let [only] = flags.address.as_slice()
        && let Some(page) = page(flags, only, console)?
    {
        let options = LoadOptions { trust: trust.unwrap_or_else(Trust::system), ..LoadOptions::of_page(page) };
        return with_flags(options, flags, console);
    }
    let addresses = Address::parse_words(&flags.address).map_err(|error| wrong(&error.to_string()))?;
    if addresses.len() > 1 {
        return Err(wrong("load takes one address: HOST:PORT, HOST PORT, PORT or unix:PATH, or the URL of a page"));
    }
    if flags.play.is_empty() {
        return Err(wrong("load needs what to play, --play FILE, or the URL of a page: http://HOST:PORT/PATH"));
    }
    let rows = rows(flags, console)?;
    let mut names = flags.values.names();
    names.extend(rows.names.iter().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    let (mut plays, mut address) = (Vec::new(), addresses.into_iter().next());
    for (path, weight) in &flags.play {
        let loaded = file::load(path, &names).map_err(|why| console.conclude(Exit::Usage, why))?;
        let named = address::named_by(&loaded.transcript).map_err(|refused| console.conclude(Exit::Usage, refused))?;
        address = address.or(named);
        plays.push(Weighted { loaded, weight: *weight });
    }
    transcript::known_names(plays.iter().map(|play| &play.loaded.transcript), &names)
        .map_err(|unknown| wrong(&unknown.to_string()))?;
    let Some(address) = address else {
        return Err(wrong("where to? no transcript names an address with `at`, and none is given"));
    };
    if let Some(scheme) = address.scheme.filter(|_| address.is_local()) {
        let help = "a load has many connections: write tcp://HOST:PORT, tls://, udp:// or unix:PATH";
        return Err(wrong(&AddressError::not_here(scheme, help).to_string()));
    }
    protocol_of(&address).map_err(|error| wrong(&error.to_string()))?;
    let trust = connection::trust_at(&address, trust).map_err(|error| wrong(&error.to_string()))?;
    let options =
        LoadOptions { rows, host: address.tls_host(), trust, ..LoadOptions::new(address, Work::Plays(plays)) };
    with_flags(options, flags, console)
}

/// With what the flags say of every load, of plays and of pages.
fn with_flags(options: LoadOptions, flags: &Flags, console: &Console) -> Result<LoadOptions, Exit> {
    let arrivals = flags.arrivals.into();
    Ok(LoadOptions {
        connections: flags.connections as usize,
        threads: flags.threads.map(usize::from),
        duration: flags.duration,
        plays: flags.plays,
        reconnect: flags.reconnect,
        ramp: flags.ramp,
        think: flags.think,
        sources: flags.source.clone(),
        model: flags.rate.map_or(LoadModel::Closed, |rate| LoadModel::Open { rate, arrivals }),
        seed: flags.values.seed.unwrap_or(1),
        fresh: flags.values.fresh(),
        shard: shard(flags).map_err(|why| console.fail(Exit::Usage, &why))?,
        start_at: flags.start_at,
        values: flags.values.to_map(),
        secrets: flags.values.secrets(),
        timeout: flags.timeout,
        longest_line: flags.max_line,
        connect: ConnectOptions {
            family: flags.family.family(),
            timeout: flags.connect_timeout,
            ..ConnectOptions::default()
        },
        ..options
    })
}

/// What is asked for, if it is a page.
fn page(flags: &Flags, typed: &str, console: &Console) -> Result<Option<Page>, Exit> {
    let wrong = |why: &str| console.fail(Exit::Usage, why);
    let lower = typed.to_ascii_lowercase();
    if !flags.play.is_empty() || !(lower.starts_with("http://") || lower.starts_with("https://")) {
        return Ok(None);
    }
    flags.values.refused_without(false).map_err(|why| wrong(&why))?;
    let url = Url::parse(typed).map_err(|error| wrong(&error.to_string()))?;
    for field in &flags.header {
        let is_field = field.contains(':') || field.ends_with(';');
        if !is_field || field.bytes().any(|byte| byte == b'\r' || byte == b'\n') {
            return Err(wrong(&format!("`{field}` is no field: write -H 'Name: value'")));
        }
    }
    let body = match flags.data.as_ref().map(|data| data.as_encoded_bytes()) {
        None => None,
        Some([b'@', file @ ..]) => {
            let path = Path::new(OsStr::from_bytes(file));
            Some(std::fs::read(path).map_err(|error| {
                console.fail(Exit::CannotRead, &format!("cannot read {}: {}", path.display(), words(&error)))
            })?)
        }
        Some(text) => Some(text.to_vec()),
    };
    let (method, fields, pipeline) = (flags.method.clone(), flags.header.clone(), usize::from(flags.pipeline));
    Ok(Some(Page { method, fields, body, pipeline, status: flags.status, ..Page::get(url) }))
}

/// Values for plays; every row has the same names.
fn rows(flags: &Flags, console: &Console) -> Result<Rows, Exit> {
    let Some(path) = flags.data.as_deref().map(Path::new) else { return Ok(Rows::default()) };
    let found = data::rows(path, &flags.values.set, console)?;
    let names: Vec<String> = found[0].values.iter().map(|(name, _)| name.clone()).collect();
    let mut rows = Vec::with_capacity(found.len());
    for row in found {
        if !row.values.iter().map(|(name, _)| name).eq(&names) {
            let why = format!(
                "{}:{}: a load gives every play the same names: {}",
                path.display(),
                row.line,
                names.join(", ")
            );
            return Err(console.fail(Exit::Usage, &why));
        }
        rows.push((row.line, row.values.into_iter().map(|(_, value)| value).collect()));
    }
    Ok(Rows { names, rows })
}

/// Which part of a larger run this is: as was typed, or as the scheduler that started us says.
fn shard(flags: &Flags) -> Result<Option<Shard>, String> {
    let number = |name: &str| match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse::<u32>().map(Some).map_err(|_| format!("{name} is no number: {text}"))
        }
        _ => Ok(None),
    };
    if flags.shard.is_some() {
        return Ok(flags.shard);
    }
    let of_slurm = || Ok::<_, String>((number("SLURM_PROCID")?, number("SLURM_NTASKS")?));
    let of_aws = || Ok::<_, String>((number("AWS_BATCH_JOB_ARRAY_INDEX")?, number("AWS_BATCH_JOB_ARRAY_SIZE")?));
    let (index, of, who) = match flags.shards {
        Some(of) => match (number("JOB_COMPLETION_INDEX")?, of_slurm()?.0, of_aws()?.0) {
            (Some(index), ..) => (index, of, "JOB_COMPLETION_INDEX"),
            (_, Some(index), _) => (index, of, "SLURM_PROCID"),
            (.., Some(index)) => (index, of, "AWS_BATCH_JOB_ARRAY_INDEX"),
            _ => {
                let none = "--shards says how many shards there are, and nothing says which this one is";
                return Err(format!("{none}: JOB_COMPLETION_INDEX is not set; give --shard I/{of}"));
            }
        },
        None => match (of_slurm()?, of_aws()?) {
            ((Some(index), Some(of)), _) => (index, of, "SLURM_PROCID"),
            (_, (Some(index), Some(of))) => (index, of, "AWS_BATCH_JOB_ARRAY_INDEX"),
            _ => return Ok(None),
        },
    };
    match index < of {
        true => Ok(Some(Shard { index, of })),
        false => Err(format!("{who} says that this is number {index}, counted from 0, of {of}")),
    }
}
