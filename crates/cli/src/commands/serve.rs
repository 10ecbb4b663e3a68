//! `sockeye serve`.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use sockeye::address::{self, Address, Scheme};
use sockeye::child::{Program, ProgramError};
use sockeye::event::{Event, Observer};
use sockeye::file::read_secret;
use sockeye::limits;
use sockeye::net::listen::has_one_client;
use sockeye::net::tls::Identity;
use sockeye::stop;
use sockeye::verb::serve::{
    self, AccessLog, EarlyClose, Errors, Files, LoadedTranscript, Plain, Reloading, Role, Running, ServeError, Server,
    Summary, Terminal,
};
use sockeye::watch::watch;
use sockeye::web::account::{Account, Accounts};
use sockeye::web::extra::{Caching, Extra};
use sockeye::web::options::{Archives, Folders, Hidden, Hosts, Links, Packing, Sharing, Siblings, SiteOptions};

use super::serving::{Unfinished, threads};
use super::{file, gate, sandbox, signals};
use crate::access::AccessFile;
use crate::exit::Exit;
use crate::flags::{Serve, Web};
use crate::output::Console;
use crate::port_file;

/// Serves until a signal.
pub(crate) fn run(flags: &Serve, console: &Console) -> Exit {
    match serve(flags, console) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn serve(flags: &Serve, console: &Console) -> Result<Exit, Exit> {
    let options = options(flags, console)?;
    let wanted = options.plays;
    let refuse = |error: ServeError| {
        let exit = Exit::from(&error);
        match error {
            ServeError::Refused(refused) => console.conclude(exit, refused),
            other => console.fail(exit, &other.to_string()),
        }
    };
    let user = gate::user(&flags.gate, console)?;
    let server = Server::bind(&options).map_err(refuse)?;
    let (stopper, stop) = stop::channel().map_err(|error| refuse(ServeError::Io(error)))?;
    signals::stop_on_signals(&stopper).map_err(|error| refuse(ServeError::Io(error)))?;
    // A process that finds the ports may send a signal at once: by then each has its meaning.
    let reloading = reloading(flags, console).map_err(|error| refuse(ServeError::Io(error)))?;
    let rereading = gate::read_again_on_hangup(&options.gate, &flags.gate, console);
    let rereading = rereading.map_err(|error| refuse(ServeError::Io(error)))?;
    let observer = observer(flags, console)?;
    if let Some(path) = &flags.port_file {
        port_file::write(path, server.ports(), console)?;
    }
    gate::become_user(user.as_ref(), console)?;
    sandbox::enter(sandbox::of_server(flags, &options), console)?;
    let summary = server.run(stop, reloading, observer);
    drop(rereading);
    let summary = summary.map_err(refuse)?;
    Ok(conclude(summary, wanted, flags, console))
}

/// Where events go; an access log of its own takes the lines of answers out.
fn observer(flags: &Serve, console: &Console) -> Result<Box<dyn Observer>, Exit> {
    let mut others = console.observer();
    let Some(path) = &flags.web.access_log else { return Ok(others) };
    // What nginx and others have for none would be a file of that name.
    if matches!(path.to_str(), Some("off" | "none" | "false")) {
        let name = path.display();
        let text =
            format!("--access-log {name} would write a file of that name: -q writes no log, and ./{name} is the file");
        return Err(console.fail(Exit::Usage, &text));
    }
    let log = AccessFile::open(path).map_err(|error| {
        console.fail(Exit::CannotWrite, &format!("{}: {error}", path.display(), error = sockeye::net::words(&error)))
    })?;
    Ok(Box::new(move |event| match event {
        Event::Answered { lines, count } => {
            log.write(&lines, count);
            let count = log.lost();
            if count > 0 {
                let error = "lines of the access log: its disk is slow or full".to_owned();
                others.observe(Event::Dropped { count, error });
            }
        }
        other => others.observe(other),
    }))
}

/// SIGHUP reads the transcripts again, and so does a change of them if they are watched.
fn reloading(flags: &Serve, console: &Console) -> io::Result<Option<Reloading>> {
    if flags.play.is_empty() {
        return Ok(None);
    }
    let (asker, asked) = stop::channel()?;
    signals::ask_on_hangup(&asker)?;
    if flags.watch
        && let Err(error) = watch(&flags.play, asker.try_clone()?)
    {
        console.note(&format!(
            "the transcripts are not watched: {error}; SIGHUP reads them again",
            error = sockeye::net::words(&error)
        ));
    }
    let paths = flags.play.clone();
    let names: Vec<String> = flags.values.names().into_iter().map(str::to_owned).collect();
    let read = Box::new(move || {
        let given: Vec<&str> = names.iter().map(String::as_str).collect();
        paths.iter().map(|path| file::load(path, &given).map_err(|why| why.to_string().into())).collect()
    });
    Ok(Some(Reloading { asked, read }))
}

fn options(flags: &Serve, console: &Console) -> Result<serve::ServeOptions, Exit> {
    flags.values.all_refused_without(!flags.play.is_empty()).map_err(|why| console.fail(Exit::Usage, &why))?;
    let addresses = Address::parse_words(&flags.addresses).map_err(|error| {
        let folder = flags.addresses.iter().find(|word| flags.web.files.is_none() && Path::new(word).is_dir());
        let hint =
            folder.map_or(String::new(), |folder| format!("; it is a folder: --files {folder} serves it over HTTP"));
        console.fail(Exit::Usage, &format!("{error}{hint}"))
    })?;
    let role = role(flags, console)?;
    let of_files = named_by_files(&addresses, &role);
    let all = if addresses.is_empty() { &of_files } else { &addresses };
    console.check_stdio(all)?;
    let wanted = wanted(flags, all);
    let identity = identity(flags, &role, &addresses, console)?;
    let is_judged = is_judged(wanted, flags);
    Ok(serve::ServeOptions {
        addresses,
        role,
        family: flags.family.family(),
        values: flags.values.to_map(),
        secrets: flags.values.secrets(),
        fresh: flags.values.fresh(),
        grace: flags.grace,
        timeout: flags.timeout,
        longest_line: flags.max_line,
        memory: flags.max_memory,
        threads: threads(wanted, flags.threads),
        budget: flags.udp_budget.unwrap_or_default(),
        gate: gate::gate(&flags.gate, console)?,
        plays: wanted,
        wait: flags.wait,
        early_close: if is_judged && !flags.allow_early_close { EarlyClose::Refused } else { EarlyClose::Allowed },
        strict: flags.strict,
        identity,
        ..serve::ServeOptions::new()
    })
}

/// What clients meet.
fn role(flags: &Serve, console: &Console) -> Result<Role, Exit> {
    Ok(if flags.echo {
        Role::Echo
    } else if flags.discard {
        Role::Discard
    } else if let Some(folder) = &flags.web.files {
        Role::Files(Box::new(files(folder, &flags.web, console)?))
    } else if let Some(running) = running(flags, console)? {
        Role::Exec(Box::new(running))
    } else if flags.play.is_empty() {
        Role::Greeting
    } else {
        Role::Transcripts(transcripts(flags, console)?)
    })
}

/// The transcripts, in the order in which they were named.
fn transcripts(flags: &Serve, console: &Console) -> Result<Vec<LoadedTranscript>, Exit> {
    let mut transcripts = Vec::new();
    for path in &flags.play {
        let loaded = file::load(path, &flags.values.names()).map_err(|why| console.conclude(Exit::Usage, why))?;
        for warning in loaded.transcript.warnings() {
            console.note(&warning.one_line(loaded.transcript.source()));
        }
        if let Some(notice) = flags.values.notice_of_seed(&loaded.transcript) {
            console.note(&notice);
        }
        transcripts.push(loaded);
    }
    transcript::known_names(transcripts.iter().map(|loaded| &loaded.transcript), &flags.values.names())
        .map_err(|unknown| console.fail(Exit::Usage, &unknown.to_string()))?;
    Ok(transcripts)
}

/// Our certificate under TLS, and which clients we ask for one.
fn identity(flags: &Serve, role: &Role, addresses: &[Address], console: &Console) -> Result<Identity, Exit> {
    let identity = match (&flags.cert, &flags.key) {
        (Some(cert), Some(key)) => {
            Identity::from_files(cert, key).map_err(|error| console.fail(Exit::CannotRead, &error.to_string()))?
        }
        _ => Identity::throw_away(),
    };
    let is_secure = match role {
        Role::Transcripts(loaded) => loaded.iter().any(|one| one.transcript.starttls().is_some()),
        _ => false,
    };
    let has_tls = |address: &Address| matches!(address.scheme, Some(Scheme::Tls | Scheme::Https | Scheme::Wss));
    if flags.client_ca.is_some() && !is_secure && !addresses.iter().any(has_tls) {
        let why = "--client-ca asks clients for certificates under TLS, and nothing here begins it: write tls:// or https://, or \
                   --play a transcript that says `starttls`";
        return Err(console.fail(Exit::Usage, why));
    }
    match &flags.client_ca {
        Some(authorities) => {
            identity.asking(authorities).map_err(|error| console.fail(Exit::CannotRead, &error.to_string()))
        }
        None => Ok(identity),
    }
}

/// The program that each client gets.
fn running(flags: &Serve, console: &Console) -> Result<Option<Running>, Exit> {
    let (flag, program) = match (&flags.exec, &flags.shell) {
        (Some(command), _) => ("--exec", Program::parse(command)),
        (None, Some(line)) => ("--shell", Program::shell(line)),
        (None, None) => return Ok(None),
    };
    let program = program.map_err(|error| {
        let exit = match error {
            ProgramError::NotFound { .. } | ProgramError::NotExecutable(_) => Exit::CannotRead,
            _ => Exit::Usage,
        };
        console.fail(exit, &format!("{flag}: {error}"))
    })?;
    if let Some(notice) = program.notice() {
        console.note(&format!("{flag}: {notice}"));
    }
    let terminal = if flags.pty { Terminal::Own } else { Terminal::None };
    let most = flags.max_children.map_or(limits::PROGRAMS, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let errors = if console.quiet { Errors::Dropped } else { Errors::Told };
    Ok(Some(Running { program, terminal, errors, most }))
}

/// What is served of a folder, and how.
fn files(path: &Path, flags: &Web, console: &Console) -> Result<Files, Exit> {
    let usage = |why: &str| console.fail(Exit::Usage, why);
    // A file is served out of its folder, under its own name.
    let (folder, only) = match (path.is_file(), path.parent(), path.file_name()) {
        (true, Some(folder), Some(name)) => {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            (folder, Some(name.as_bytes().to_vec()))
        }
        _ => (path, None),
    };
    if only.is_some() && (flags.upload || flags.archive || flags.spa.is_some() || flags.not_found.is_some()) {
        let why = "--upload, --archive, --spa and --not-found are about a folder";
        return Err(usage(&format!("--files: {} is one file: {why}", path.display())));
    }
    let (extra, caching) = fields(flags, console)?;
    let accounts = |flag: &str, given: &[String]| -> Result<Vec<Account>, Exit> {
        let read = |pair: &String| accounts(pair).map_err(|(exit, why)| console.fail(exit, &format!("{flag}: {why}")));
        Ok(given.iter().map(read).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    };
    let accounts = Accounts {
        readers: accounts("--basic-auth", &flags.basic_auth)?,
        writers: accounts("--write-auth", &flags.write_auth)?,
    };
    let inside = |path: &Option<String>| path.as_ref().map(|path| path.trim_start_matches('/').as_bytes().to_vec());
    let hosts = if flags.host.iter().any(|host| host == "*") { Hosts::Any } else { Hosts::Local(flags.host.clone()) };
    let site = SiteOptions {
        hidden: if flags.hidden { Hidden::Shown } else { Hidden::Kept },
        links: if flags.follow_links { Links::Anywhere } else { Links::Inside },
        folders: if flags.no_listing { Folders::Kept } else { Folders::Listed },
        sharing: if flags.cors { Sharing::Everyone } else { Sharing::SameOrigin },
        fallback: inside(&flags.spa),
        not_found: inside(&flags.not_found),
        only,
        accounts,
        extra: (!extra.is_empty()).then(|| Arc::new(extra)),
        caching,
        siblings: if flags.precompressed { Siblings::Packed } else { Siblings::None },
        archives: if flags.archive { Archives::Sent } else { Archives::None },
        hosts,
        upload: flags.upload.then_some(flags.max_upload),
        packing: if flags.no_compression { Packing::None } else { Packing::Text },
    };
    let log = match (console.quiet && flags.access_log.is_none(), console.json) {
        (true, _) => AccessLog::None,
        (false, true) => AccessLog::Json,
        (false, false) => AccessLog::Combined,
    };
    let plain = if flags.https_redirect { Plain::Redirected } else { Plain::Served };
    Ok(Files { folder: folder.to_owned(), site, log, plain })
}

/// The fields that answers get beside their own, and how long they may be kept.
fn fields(flags: &Web, console: &Console) -> Result<(Extra, Vec<Caching>), Exit> {
    let usage = |why: &str| console.fail(Exit::Usage, why);
    let mut extra = Extra::default();
    for line in &flags.header {
        extra.add(line).map_err(|why| usage(&format!("--header '{line}': {why}")))?;
    }
    let mut caching = Vec::new();
    for rule in &flags.cache_control {
        let rule = Caching::parse(rule).map_err(|_| {
            usage(&format!("--cache-control '{rule}': write it as '[PATTERN:] VALUE', such as '*.js: max-age=86400'"))
        })?;
        caching.push(rule);
    }
    if !caching.is_empty() && extra.has("Cache-Control") {
        return Err(usage("--header 'Cache-Control: …' and --cache-control exclude each other"));
    }
    Ok((extra, caching))
}

/// Who may come in: USER:PASSWORD, or a file that holds one in each line.
fn accounts(pair: &str) -> Result<Vec<Account>, (Exit, String)> {
    let text = match pair.strip_prefix('@') {
        Some(path) => read_secret(Path::new(path), "this password")
            .map_err(|error| (Exit::CannotRead, format!("{path}: {error}", error = sockeye::net::words(&error))))?,
        None => pair.as_bytes().to_vec(),
    };
    let text = String::from_utf8_lossy(&text);
    let read = |line: &str| line.split_once(':').and_then(|(user, password)| Account::new(user, password));
    let found: Option<Vec<Account>> = text.lines().filter(|line| !line.trim().is_empty()).map(read).collect();
    // No account at all would let in every client.
    let found = found.filter(|found| !found.is_empty());
    found.ok_or_else(|| (Exit::Usage, "write USER:PASSWORD, or @FILE with one of them in each line".to_owned()))
}

/// Says at the end what came of it.
fn conclude(summary: Summary, wanted: Option<u64>, flags: &Serve, console: &Console) -> Exit {
    let Summary { opened, closed, failed, cut, from_clients, at_once, unvisited, .. } = summary;
    let came = if opened == 1 { "1 conversation".to_owned() } else { format!("{opened} conversations") };
    let has_no_text =
        flags.echo || flags.discard || flags.web.files.is_some() || flags.exec.is_some() || flags.shell.is_some();
    let mut words = if has_no_text {
        format!("{came}, {closed} ended by themselves, {from_clients} bytes came")
    } else {
        format!("{came}, {} as written", closed.saturating_sub(failed))
    };
    if failed > 0 {
        words.push_str(&format!(", {failed} {}", if has_no_text { "failed" } else { "not" }));
    }
    let missing = wanted.map_or(0, |wanted| wanted.saturating_sub(opened));
    Unfinished { cut, at_once, grace: flags.grace, missing }.tell(&mut words);
    if let Some(wait) = flags.wait.filter(|_| unvisited) {
        words.push_str(&format!("; no client came for {} (--wait)", transcript::seconds(wait)));
    }
    // What is still counted comes first: the summary is the last line.
    console.flush();
    console.note(&words);
    // `--strict` alone asks for no number, but for none at all there is nothing to judge.
    let is_judged = is_judged(wanted, flags);
    let nobody = is_judged && opened == 0;
    let is_failure = unvisited || is_judged && failed + cut + missing > 0 || nobody;
    if is_failure && console.quiet {
        // Nothing else says why.
        return console.fail(Exit::Differs, &words);
    }
    console.flush();
    if is_failure {
        return Exit::Differs;
    }
    if at_once { Exit::Interrupted } else { Exit::Done }
}

/// Where transcripts say that they are played, if nothing else was said.
fn named_by_files(addresses: &[Address], role: &Role) -> Vec<Address> {
    match role {
        // One that is refused is refused where it is used.
        Role::Transcripts(loaded) if addresses.is_empty() => {
            loaded.iter().filter_map(|one| address::named_by(&one.transcript).ok().flatten()).collect()
        }
        _ => Vec::new(),
    }
}

/// How many conversations there are to be.
fn wanted(flags: &Serve, addresses: &[Address]) -> Option<u64> {
    if flags.once || addresses.iter().any(has_one_client) { Some(1) } else { flags.times }
}

/// Whether the exit code says how the plays went.
fn is_judged(wanted: Option<u64>, flags: &Serve) -> bool {
    flags.strict || wanted.is_some()
}
