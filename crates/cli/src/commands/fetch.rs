//! `sockeye fetch`.

mod data;
mod input;
mod interrupt;
mod jar;
mod many;
mod messages;
mod page;
mod request;
mod session;
mod target;
mod watcher;

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sockeye::net::tls::{IdentityFiles, Trust};
use sockeye::verb::fetch::{FetchOptions, Proxies};

use crate::exit::Exit;
use crate::flags::Fetch;
use crate::output::Console;

/// Fetches pages.
pub(crate) fn run(flags: &Fetch, console: &Console) -> Exit {
    let (Ok(exit) | Err(exit)) = fetch(flags, console);
    console.flush();
    exit
}

fn fetch(flags: &Fetch, console: &Console) -> Result<Exit, Exit> {
    let urls = many::urls(flags).map_err(|why| console.fail(Exit::Usage, &why))?;
    let options = options(flags, console)?;
    if console.stdout_is_missing() {
        return Err(console.fail(Exit::CannotWrite, "cannot write the head of the answer: standard output is closed"));
    }
    many::fetch_all(flags, &options, urls, console)
}

fn options(flags: &Fetch, console: &Console) -> Result<FetchOptions, Exit> {
    Ok(FetchOptions {
        family: flags.family.family(),
        connect_timeout: limit(flags.connect_timeout),
        began: Instant::now(),
        timeout: flags.timeout.filter(|timeout| !timeout.is_zero()),
        idle_timeout: limit(flags.idle_timeout),
        follow: !flags.no_follow,
        redirects: flags.max_redirects,
        instead: flags.connect_to.clone(),
        source: flags.interface.clone(),
        http2: !flags.http1,
        trust: trust(flags, console)?,
        proxies: proxies(flags).map_err(|why| console.fail(Exit::Usage, &why))?,
        resolve: flags.resolve.clone(),
        socket: flags.unix.clone(),
    })
}

/// No time at all is no limit, as curl has it.
fn limit(time: Duration) -> Duration {
    if time.is_zero() { NO_LIMIT } else { time }
}

/// Longer than anything takes.
const NO_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn trust(flags: &Fetch, console: &Console) -> Result<Trust, Exit> {
    let mut trust = match (&flags.ca, &flags.pin) {
        (Some(path), _) => Trust::only(path),
        (None, Some(pinned)) => pinned.clone(),
        (None, None) if flags.insecure => {
            console.warn(
                "--insecure: whoever is on the way may read and change everything, and passwords are shown to them",
            );
            Trust::anyone()
        }
        (None, None) => Trust::system(),
    };
    if let Some(path) = std::env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty()) {
        note_keys(Path::new(&path), console);
        trust = trust.with_key_log();
    }
    trust = trust.at_least(flags.tls_min);
    if let Some(certificate) = &flags.cert {
        let passphrase = passphrase(flags).map_err(|why| console.fail(Exit::CannotRead, &why))?;
        trust =
            trust.with_identity(IdentityFiles { certificate: certificate.clone(), key: flags.key.clone(), passphrase });
    }
    let unusable = |error| console.fail(Exit::CannotRead, &format!("cannot use the certificates: {error}"));
    trust.check().map_err(unusable)?;
    Ok(trust)
}

/// A user who has the keys of a session can read all of it, so they are never written without a word. The file is made here if it
/// is not there: for its owner alone.
fn note_keys(path: &Path, console: &Console) {
    let made = File::options().append(true).create(true).mode(0o600).open(path);
    let shown = path.display();
    match made {
        Ok(_) => console.warn(&format!("SSLKEYLOGFILE: whoever reads {shown} can read what is fetched over TLS")),
        Err(error) => {
            console.warn(&format!("SSLKEYLOGFILE: cannot write {shown}: {error}", error = sockeye::net::words(&error)))
        }
    }
}

/// What opens the key, given or read from a file: its first line.
fn passphrase(flags: &Fetch) -> Result<Option<String>, String> {
    let Some(path) = flags.pass.as_deref().and_then(|given| given.strip_prefix('@')) else {
        return Ok(flags.pass.clone());
    };
    let line = input::secret_line(path, "this passphrase", |_| io::Error::other("it is not UTF-8"));
    line.map(Some).map_err(|error| format!("--pass {path}: {error}"))
}

fn proxies(flags: &Fetch) -> Result<Proxies, String> {
    let variable = |name: &str| match (name, &flags.no_proxy) {
        ("no_proxy" | "NO_PROXY", Some(hosts)) => Some(hosts.clone()),
        _ => std::env::var(name).ok(),
    };
    let proxies = match &flags.proxy {
        Some(proxy) => {
            let without = variable("no_proxy").or_else(|| variable("NO_PROXY"));
            Proxies::chosen(proxy, without).map_err(|error| format!("--proxy: {error}"))?
        }
        None => Proxies::from_environment(variable),
    };
    Ok(if flags.proxy_digest { proxies.by_proof() } else { proxies })
}
