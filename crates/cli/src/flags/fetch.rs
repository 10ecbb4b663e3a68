//! What was typed behind `fetch`.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [HOST] is a placeholder")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use sockeye::limits;
use sockeye::net::connect::Source;
use sockeye::net::tls::{Trust, Version};
use sockeye::verb::fetch::range::Bytes;
use sockeye::verb::fetch::{Instead, Resolved, Url};

use crate::sys::is_stdout;

use super::FamilyFlags;
use super::fetch_data::Data;
use super::parsers::{duration, large_size, pin};

#[derive(Debug, Args)]
#[command(
    after_help = "The head goes to standard output as it came, the body to FILE, or to a name made from the URL that is not taken \
    yet.\nWithout a scheme a URL is http; PORT and :PORT are the loopback. Whatever goes wrong, no part of a file appears and an old one stays; \
    only --resume leaves FILE.part behind.\n\
    Proxies: http_proxy, https_proxy, all_proxy, no_proxy. Certificates: the system's, SSL_CERT_FILE and SSL_CERT_DIR. \
    SSLKEYLOGFILE names a file for the keys of sessions."
)]
pub(crate) struct Fetch {
    /// What to fetch: [http://|https://]HOST[:PORT][/PATH]; of several, the exit code is that of the first that failed
    #[arg(value_name = "URL", required_unless_present = "url_file")]
    pub(crate) urls: Vec<String>,
    /// Fetch what stands in a file too, one URL a line; - is standard input
    #[arg(long = "urls", value_name = "FILE")]
    pub(crate) url_file: Option<PathBuf>,
    /// Fetch so many of several URLs at once
    #[arg(long, value_name = "N", default_value_t = limits::DOWNLOADS, value_parser = count)]
    pub(crate) jobs: usize,
    /// Fetch a large file over so many connections, if the server has ranges and sends an ETag or a Last-Modified
    #[arg(long, value_name = "N", default_value = "1", value_parser = count,
        conflicts_with_all = ["resume", "range", "head", "body", "raw_body", "method"])]
    pub(crate) parts: usize,
    /// Save the body there, over what is there; `-` is standard output, the head then goes to standard error. Of several URLs each
    /// has its own -o, in the same order
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// Save under names made from URLs in this folder, which is made if it is not there
    #[arg(long, visible_alias = "output-dir", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Save under the name that the server offers (Content-Disposition), made harmless, if it offers one
    #[arg(short = 'J', long, conflicts_with_all = ["output", "resume", "head"])]
    pub(crate) remote_header_name: bool,
    /// Leave a file alone that has the name already, and ask for nothing
    #[arg(long, conflicts_with_all = ["resume", "head", "force"])]
    pub(crate) skip_existing: bool,
    /// Fetch only what was changed since the file that is there, replace it, and give it the server's time
    #[arg(long, conflicts_with_all = ["resume", "head", "skip_existing"])]
    pub(crate) if_newer: bool,
    /// Keep the server's tag of what was saved in a file, and fetch only if it is another the next time
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "head"])]
    pub(crate) etag: Option<PathBuf>,
    /// Save under the name made from the URL even if it is taken
    #[arg(long)]
    pub(crate) force: bool,
    /// Leave FILE.part behind when it is cut, and go on with it the next time, if the server says that it is still the same
    #[arg(long, conflicts_with_all = ["range", "head", "body", "save_errors", "raw_body"])]
    pub(crate) resume: bool,
    /// Fetch only these bytes, the first one being 0: A-B, A- or the last -N
    #[arg(long, value_name = "A-B", value_parser = range, allow_hyphen_values = true)]
    pub(crate) range: Option<Bytes>,
    /// Give the file its name only if it has this SHA-256
    #[arg(long, value_name = "HEX", value_parser = digest)]
    pub(crate) sha256: Option<String>,
    /// Give the file the time of Last-Modified
    #[arg(long)]
    pub(crate) remote_time: bool,
    /// Send this field; one without a value takes away what would be sent otherwise
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = field)]
    pub(crate) header: Vec<(String, String)>,
    /// Ask with this method [default: GET; POST with a body]
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub(crate) method: Option<String>,
    #[command(flatten)]
    pub(crate) data: Data,
    /// Send JSON (application/json); the text is checked, a file is sent as it is
    #[arg(long, value_name = "JSON|@FILE", group = "body")]
    pub(crate) data_json: Option<String>,
    /// Put a file there (the method PUT), under its name if the URL ends in a slash; - is standard input, which is sent as it
    /// comes, and once
    #[arg(short = 'T', long, value_name = "FILE", group = "body")]
    pub(crate) upload_file: Option<PathBuf>,
    /// Send a form, as a page with files does (multipart/form-data); a file's type may stand behind it: @FILE;type=text/csv;
    /// @- is standard input
    #[arg(long, value_name = "NAME=VALUE|NAME=@FILE", group = "body", value_parser = form_field)]
    pub(crate) form: Vec<(String, String)>,
    /// Ask for the head only (the method HEAD)
    #[arg(long, conflicts_with_all = ["method", "body"])]
    pub(crate) head: bool,
    /// Say who asks (basic authentication); a file, which no other user may read, keeps it out of the list of processes
    #[arg(short, long, value_name = "USER:PASSWORD|@FILE", value_parser = user)]
    pub(crate) user: Option<User>,
    /// Show the server no password, only a proof of knowing it (digest authentication), and only if it asks for one. Without this
    /// flag such a proof is given to a server that takes nothing else
    #[arg(long, conflicts_with = "bearer")]
    pub(crate) digest: bool,
    /// Say who asks by a token; a file, which no other user may read, keeps it out of the list of processes
    #[arg(long, value_name = "TOKEN|@FILE", conflicts_with = "user")]
    pub(crate) bearer: Option<String>,
    /// Say who asks by what ~/.netrc has for the host, unless --user, --bearer or the URL say it
    #[arg(long, conflicts_with = "netrc_file")]
    pub(crate) netrc: bool,
    /// The same for another file
    #[arg(long, value_name = "FILE")]
    pub(crate) netrc_file: Option<PathBuf>,
    /// Send cookies to the host of the URL; those that a redirect sets go back to their server in any case
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) cookie: Vec<String>,
    /// Keep cookies in this file: those there are sent, those that servers set are added (as curl and wget keep them)
    #[arg(short = 'c', long, value_name = "FILE")]
    pub(crate) cookie_jar: Option<PathBuf>,
    /// Show what would be asked for, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Save the body of an error (4xx, 5xx) too; the exit code stays 22
    #[arg(long)]
    pub(crate) save_errors: bool,
    /// Take a redirect for the answer
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// Save the body as it comes, packed by gzip, deflate, br or zstd
    #[arg(long)]
    pub(crate) raw_body: bool,
    /// Refuse a body that is larger, unpacked
    #[arg(long, value_name = "SIZE", value_parser = large_size)]
    pub(crate) max_size: Option<u64>,
    /// Speak HTTP/1.1 also where the server speaks HTTP/2
    #[arg(long = "http1.1")]
    pub(crate) http1: bool,
    /// Trust who these certificates (PEM) sign for, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Trust this one certificate, no matter who signed it and whatever its names and dates are: what `serve https://` tells of its own
    #[arg(long, value_name = "sha256:HEX", value_parser = pin, conflicts_with = "ca")]
    pub(crate) pin: Option<Trust>,
    /// Ask again up to N times, after a longer pause each time or when the server says: a name that is not found, a connection
    /// that is refused, reset or not answered, an answer that is cut, the statuses 408, 429, 500, 502, 503, 504. Not what may have
    /// been done already, such as POST
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retry: u32,
    /// With --retry: ask again whatever went wrong, also with POST, which the server may then do twice
    #[arg(long, visible_alias = "retry-all-errors", requires = "retry")]
    pub(crate) retry_all: bool,
    /// Take no more bytes of a URL in a second
    #[arg(long, value_name = "SIZE", value_parser = large_size)]
    pub(crate) limit_rate: Option<u64>,
    /// Trust any server, which is no security at all
    #[arg(long, conflicts_with_all = ["ca", "pin"])]
    pub(crate) insecure: bool,
    /// Who to be to a server that asks for a certificate: a file in PEM form, or a PKCS #12 archive
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The key of --cert, which no other user may read, if it is not in the same file
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// What opens the key or the archive; a file, which no other user may read, keeps it out of the list of processes
    #[arg(long, value_name = "PASSPHRASE|@FILE", requires = "cert")]
    pub(crate) pass: Option<String>,
    /// Speak no version of TLS that is older: 1.2 or 1.3
    #[arg(long, value_name = "VERSION", value_parser = tls_version, default_value = "1.2")]
    pub(crate) tls_min: Version,
    /// Go through this proxy, whatever the environment says: http://, https://, socks5:// (names are looked up here) or
    /// socks5h:// (there)
    #[arg(long, value_name = "URL", conflicts_with = "unix")]
    pub(crate) proxy: Option<String>,
    /// Show no proxy a password, only a proof of knowing it (digest authentication), and only if it asks for one. Without this
    /// flag such a proof is given to a proxy that takes nothing else
    #[arg(long)]
    pub(crate) proxy_digest: bool,
    /// Go to these hosts without a proxy, whatever the environment says: names with all below them, addresses, networks, or *
    #[arg(long, value_name = "HOST,…", visible_alias = "noproxy")]
    pub(crate) no_proxy: Option<String>,
    /// Follow at most so many redirects
    #[arg(long, value_name = "N", visible_alias = "max-redirs", default_value_t = limits::REDIRECTS)]
    pub(crate) max_redirects: usize,
    /// Connect to HOST2:PORT2 where a URL says HOST1:PORT1; an empty HOST1 or PORT1 stands for any, an empty HOST2 or PORT2 for that of the URL
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2", value_parser = instead, conflicts_with = "unix")]
    pub(crate) connect_to: Vec<Instead>,
    /// Connect from this address of this machine, or through this network interface
    #[arg(long, value_name = "ADDR|NAME", value_parser = source, conflicts_with = "unix")]
    pub(crate) interface: Option<Source>,
    /// Take this for the address of a host's name at a port
    #[arg(long, value_name = "HOST:PORT:ADDR", value_parser = resolved)]
    pub(crate) resolve: Vec<Resolved>,
    /// Connect to a Unix socket, whatever host the URL names; redirects go there too
    #[arg(long, value_name = "PATH", conflicts_with = "resolve")]
    pub(crate) unix: Option<PathBuf>,
    /// For everything, all attempts together; 0 is no limit, here and for the other two
    #[arg(long, visible_alias = "max-time", value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// For each connection: name, connecting, TLS
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub(crate) connect_timeout: Duration,
    /// For the head of the answer, and for each next byte of its body; framing does not count
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub(crate) idle_timeout: Duration,
    /// Say how long each part took
    #[arg(long)]
    pub(crate) time: bool,
    #[command(flatten)]
    pub(crate) family: FamilyFlags,
}

impl Fetch {
    /// Whether something was asked for that only a file can have.
    pub(crate) fn needs_file(&self) -> bool {
        self.resume
            || self.remote_time
            || self.if_newer
            || self.etag.is_some()
            || self.skip_existing
            || self.sha256.is_some()
    }

    pub(crate) fn body_to_stdout(&self) -> bool {
        matches!(self.output.as_slice(), [path] if is_stdout(path))
    }

    /// The -o of one URL; one alone is for all.
    pub(crate) fn output_of(&self, index: usize) -> Option<&Path> {
        match self.output.as_slice() {
            [one] => Some(one),
            all => all.get(index).map(PathBuf::as_path),
        }
    }

    /// Where the body of one URL goes: under its -o, or under a name of the URL's or the server's.
    pub(crate) fn path_of(&self, index: usize, name: &str) -> PathBuf {
        match (self.output_of(index), &self.dir) {
            (Some(path), _) => path.to_owned(),
            (None, Some(folder)) => folder.join(name),
            (None, None) => PathBuf::from(name),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum User {
    Given(String, String),
    In(String),
}

/// `0-99`, `100-`, `-100`.
fn range(text: &str) -> Result<Bytes, String> {
    let wrong = || "write A-B, A- or -N: 0-99, 100-, -100".to_owned();
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    match text.split_once('-').ok_or_else(wrong)? {
        ("", count) => number(count).filter(|&count| count > 0).map(Bytes::Last).ok_or_else(wrong),
        (first, "") => Ok(Bytes::From(number(first).ok_or_else(wrong)?, None)),
        (first, last) => {
            let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
            if first > last || last == u64::MAX { Err(wrong()) } else { Ok(Bytes::From(first, Some(last))) }
        }
    }
}

/// 64 hex digits, in small letters.
fn digest(text: &str) -> Result<String, String> {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { Ok(text.to_ascii_lowercase()) } else { Err("a SHA-256 has 64 hex digits".to_owned()) }
}

/// `example.org:443:192.0.2.1`; an IPv6 address in brackets or not.
fn resolved(text: &str) -> Result<Resolved, String> {
    let wrong = || "write HOST:PORT:ADDR: example.org:443:192.0.2.1".to_owned();
    let (host, rest) = text.split_once(':').filter(|(host, _)| !host.is_empty()).ok_or_else(wrong)?;
    let (port, ip) = rest.split_once(':').ok_or_else(wrong)?;
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    let (port, ip) = (port.parse().map_err(|_| wrong())?, ip.parse().map_err(|_| wrong())?);
    Ok(Resolved { host: host.to_ascii_lowercase(), port, ip })
}

fn tls_version(text: &str) -> Result<Version, String> {
    match text.trim_start_matches(['v', 'V']) {
        "1.2" => Ok(Version::Tls12),
        "1.3" => Ok(Version::Tls13),
        _ => Err("write 1.2 or 1.3; older ones are not spoken".to_owned()),
    }
}

/// `HOST1:PORT1:HOST2:PORT2` as curl has it: each may be empty, and addresses of IPv6 stand in brackets.
fn instead(text: &str) -> Result<Instead, String> {
    let wrong = || "write HOST1:PORT1:HOST2:PORT2: example.org:443:localhost:8443".to_owned();
    let mut rest = text;
    let mut parts = Vec::new();
    while parts.len() < 3 {
        let bracket = if rest.starts_with('[') { rest.find(']').ok_or_else(wrong)? } else { 0 };
        let end = bracket + rest[bracket..].find(':').ok_or_else(wrong)?;
        parts.push(&rest[..end]);
        rest = &rest[end + 1..];
    }
    let [host, port, to] = parts[..] else { return Err(wrong()) };
    let number = |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong()) };
    // Both are compared and connected to as they would be in a URL.
    let named = |host: &str| {
        if host.is_empty() { Ok(None) } else { Url::parse(&format!("http://{host}/")).map(Some).map_err(|_| wrong()) }
    };
    let host = named(host)?.map(|url| url.host());
    Ok(Instead { host, port: number(port)?, to: named(to)?, to_port: number(rest)? })
}

/// An address or the name of an interface; curl's `if!NAME` and `host!ADDR` say which.
fn source(text: &str) -> Result<Source, String> {
    let (only_interface, name) = text.strip_prefix("if!").map_or((false, text), |name| (true, name));
    let name = name.strip_prefix("host!").unwrap_or(name);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match bare.parse() {
        Ok(ip) if !only_interface => Ok(Source::Address(ip)),
        // The longest name that the kernel has room for (IFNAMSIZ).
        _ if (1..16).contains(&name.len()) => Ok(Source::Interface(name.to_owned())),
        _ => Err("write an address of this machine or the name of an interface: 192.0.2.1, eth0".to_owned()),
    }
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| (1..=64).contains(count)).ok_or_else(|| "write a number from 1 to 64".to_owned())
}

/// `NAME: VALUE`, as it stands in a head.
fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| "write NAME: VALUE".to_owned())?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// `NAME=VALUE`; what the value means is found out when it is sent.
fn form_field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write NAME=VALUE or NAME=@FILE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

fn user(text: &str) -> Result<User, String> {
    if let Some(path) = text.strip_prefix('@') {
        return Ok(User::In(path.to_owned()));
    }
    let (user, password) = text.split_once(':').ok_or_else(|| "write USER:PASSWORD, or @FILE with it".to_owned())?;
    Ok(User::Given(user.to_owned(), password.to_owned()))
}
