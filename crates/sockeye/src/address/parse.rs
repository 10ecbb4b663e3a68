//! Reading addresses: what each form means, and for each wrong one what to write instead. It looks nothing up but the
//! numbers of interfaces.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::{Address, AddressError, AddressOptions, Host, Scheme, Target};
use crate::child::Terminal;
use crate::sys::{inherited, interface};

/// Longest path of a Unix socket, without the zero behind it (unix(7)).
const LONGEST_PATH: usize = 107;

impl Address {
    /// Reads one address. Which schemes it speaks is said by each verb.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead; a scheme that is known but not there yet.
    pub fn parse(typed: &str) -> Result<Self, AddressError> {
        // First, because a path or a command may hold anything, `://` too.
        if let Some((scheme, plus, rest)) = without_host(typed) {
            return Self::parse_without_host(typed, scheme, plus, rest);
        }
        let (scheme, rest) = match typed.split_once("://") {
            Some((scheme, rest)) => (Some(scheme_of(typed, scheme)?), rest),
            None => (None, typed),
        };
        if let Some(scheme) = scheme.filter(|scheme| !scheme.is_there()) {
            return Err(AddressError::not_yet(scheme));
        }
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (rest, path) = match (scheme, rest.find('/')) {
            (Some(Scheme::Ws | Scheme::Wss), Some(at)) => (&rest[..at], Some(&rest[at..])),
            _ => (rest, None),
        };
        let rest = rest.strip_suffix('/').filter(|_| scheme.is_some()).unwrap_or(rest);
        let with_port;
        let rest = match scheme.and_then(Scheme::usual_port).filter(|_| has_no_port(rest)) {
            Some(port) => {
                with_port = format!("{rest}:{port}");
                &with_port
            }
            None => rest,
        };
        // What is wrong is told of the address, and not of what stands behind it.
        let named = query.map_or(typed, |query| &typed[..typed.len() - query.len() - 1]);
        let (host, port) = split_port(named, rest)?;
        let options = query.map(|query| AddressOptions::parse(typed, scheme, query)).transpose()?;
        let mut options = options.unwrap_or_default();
        if let Some(path) = path {
            if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
                let help = "other characters are written as %20 is for a blank, and nothing stands behind a #";
                return Err(AddressError::new(typed, format!("has the path `{path}`"), help));
            }
            options.websocket.path = Some(path.to_owned()).filter(|path| path != "/");
        }
        Ok(Self { scheme, target: Target::Inet { host, port }, options: Box::new(options) })
    }

    fn parse_without_host(typed: &str, scheme: Scheme, plus: Option<&str>, rest: &str) -> Result<Self, AddressError> {
        let terminal = match (plus, scheme) {
            (None, _) => Terminal::None,
            (Some("pty"), Scheme::Exec | Scheme::Sh) => Terminal::Own,
            (Some(plus), Scheme::Exec | Scheme::Sh) => {
                let help = format!("write {}+pty:{rest} for a terminal", scheme.name());
                return Err(AddressError::new(typed, format!("has `+{plus}`"), help));
            }
            (Some(plus), _) => {
                let what = format!("has `+{plus}`, which only exec and sh know");
                return Err(AddressError::new(typed, what, "leave it out"));
            }
        };
        let target = match scheme {
            Scheme::Stdio if rest.is_empty() => Target::Standard,
            Scheme::Stdio => {
                let help = "standard input and output are stdio and nothing else";
                return Err(AddressError::new(typed, format!("has `{rest}` behind it"), help));
            }
            Scheme::Exec | Scheme::Sh => match rest.trim() {
                "" => {
                    return Err(AddressError::new(typed, "has no command", "write exec:'cat -n', or sh:'sort | uniq'"));
                }
                _ => Target::Command(rest.to_owned(), terminal),
            },
            // systemd gives descriptors names too (sd_listen_fds_with_names(3)).
            Scheme::Fd => match rest.parse().ok().filter(|number| *number >= 0).or_else(|| inherited::named(rest)) {
                Some(number) => Target::Descriptor(number),
                None => {
                    let help = match inherited::given() {
                        Some((first, last)) if first < last => format!("write fd:{first} to fd:{last}"),
                        Some((first, _)) => format!("write fd:{first}"),
                        None => "write the number of a descriptor: fd:3".to_owned(),
                    };
                    return Err(AddressError::new(typed, "has no number", help));
                }
            },
            _ => {
                let (path, query) = rest.split_once('?').map_or((rest, ""), |(path, query)| (path, query));
                let options = AddressOptions::parse(typed, Some(scheme), query)?;
                let target = Target::Unix(socket_path(typed, &path.replace("%3f", "?").replace("%3F", "?"))?);
                return Ok(Self { scheme: Some(scheme), target, options: Box::new(options) });
            }
        };
        Ok(Self::new(Some(scheme), target))
    }

    /// Reads the words of a command line: a host without a port and a bare number behind it are one address.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn parse_words<S: AsRef<str>>(words: &[S]) -> Result<Vec<Self>, AddressError> {
        let mut addresses = Vec::new();
        let mut rest = words.iter().map(AsRef::as_ref).peekable();
        while let Some(word) = rest.next() {
            let is_port = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            match rest.peek().filter(|next| is_port(next) && is_bare_host(word)) {
                Some(port) => {
                    let (scheme, host) = word.split_once("://").map_or(("", word), |(scheme, host)| (scheme, host));
                    let host = if host.contains(':') && !host.starts_with('[') {
                        format!("[{host}]")
                    } else {
                        host.to_owned()
                    };
                    let slashes = if scheme.is_empty() { "" } else { "://" };
                    addresses.push(Self::parse(&format!("{scheme}{slashes}{host}:{port}"))?);
                    rest.next();
                }
                None => match (Self::parse(word), rest.peek()) {
                    (Err(_), Some(next)) if is_bare_host(word) && Self::parse(next).is_err() => {
                        // Either word may be a file, whose name is no port and no host.
                        if let Some((file, help)) =
                            [word, *next].into_iter().find_map(|word| Some((word, file_meant(word)?)))
                        {
                            return Err(AddressError::new(file, "is a file, and no address", help));
                        }
                        let what = format!("has no port, and `{next}` behind it is none");
                        let help = match service(next) {
                            Some(number) => {
                                format!("ports are written as numbers, and {next} is {number}: {word} {number}")
                            }
                            None => format!("write a number from 1 to 65535: {word} 9999"),
                        };
                        return Err(AddressError::new(word, what, help));
                    }
                    (address, _) => addresses.push(address?),
                },
            }
        }
        Ok(addresses)
    }
}

/// A scheme that no host stands behind, what is added to it, and what does stand there; letters of a scheme may be large or
/// small (RFC 3986, section 3.1).
fn without_host(typed: &str) -> Option<(Scheme, Option<&str>, &str)> {
    let (word, rest) = typed.split_once(':').unwrap_or((typed, ""));
    let (word, plus) = word.split_once('+').map_or((word, None), |(word, plus)| (word, Some(plus)));
    let scheme = Scheme::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(word))?;
    let stands_alone = scheme == Scheme::Stdio || typed.contains(':');
    let is_command = matches!(scheme, Scheme::Exec | Scheme::Sh);
    // The path of a program may begin with two slashes; a URL's have no meaning here.
    let rest = if is_command { rest } else { rest.strip_prefix("//").unwrap_or(rest) };
    (scheme.has_no_host() && stands_alone).then_some((scheme, plus, rest))
}

fn scheme_of(typed: &str, written: &str) -> Result<Scheme, AddressError> {
    let lower = written.to_ascii_lowercase();
    Scheme::ALL.into_iter().find(|scheme| scheme.name() == lower).ok_or_else(|| {
        let names = |is_there: bool| {
            let names = Scheme::ALL.into_iter().filter(|scheme| scheme.is_there() == is_there).map(Scheme::name);
            names.collect::<Vec<_>>().join(", ")
        };
        let nearest = Scheme::ALL.into_iter().find(|scheme| is_one_slip(&lower, scheme.name()));
        let meant = nearest.map_or_else(String::new, |scheme| format!("did you mean {}? ", scheme.name()));
        let help = format!("{meant}there are {}; not yet here {}", names(true), names(false));
        AddressError::new(typed, format!("has the unknown scheme `{written}`"), help)
    })
}

/// Whether one letter too many, missing or wrong, or two neighbours changed about, is all that parts two words.
fn is_one_slip(written: &str, meant: &str) -> bool {
    let (a, b) = (written.as_bytes(), meant.as_bytes());
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a, b) {
        ([_, a @ ..], [_, b @ ..]) if a == b => true,
        ([a1, a2, a @ ..], [b1, b2, b @ ..]) if a1 == b2 && a2 == b1 && a == b => true,
        ([_, a @ ..], b) if a == b => true,
        (a, [_, b @ ..]) if a == b => true,
        _ => false,
    }
}

fn socket_path(typed: &str, rest: &str) -> Result<PathBuf, AddressError> {
    if rest.is_empty() {
        return Err(AddressError::new(typed, "has no path", "write unix:/path/of/the/socket"));
    }
    if rest == "@" {
        let help = "write unix:@name, or unix:./@ for a file of that name";
        return Err(AddressError::new(typed, "has no name", help));
    }
    if rest.len() > LONGEST_PATH {
        let what = format!("has a path of {} bytes", rest.len());
        return Err(AddressError::new(typed, what, format!("a Unix socket's path has at most {LONGEST_PATH}")));
    }
    Ok(PathBuf::from(rest))
}

/// Whether a word names a host and nothing else: the port stands in the next word.
fn is_bare_host(word: &str) -> bool {
    let host = word.split_once("://").map_or(word, |(_, host)| host);
    if without_host(word).is_some() || host.is_empty() || host == "-" || host.bytes().all(|byte| byte.is_ascii_digit())
    {
        return false;
    }
    !host.contains(':') || host.parse::<Ipv6Addr>().is_ok() || (host.starts_with('[') && host.ends_with(']'))
}

/// Whether an address names a host and nothing behind it.
pub(super) fn has_no_port(rest: &str) -> bool {
    let is_number = rest.bytes().all(|byte| byte.is_ascii_digit());
    !is_number && (rest.ends_with(']') || !rest.contains(':'))
}

fn split_port(typed: &str, rest: &str) -> Result<(Host, u16), AddressError> {
    if rest.is_empty() {
        return Err(AddressError::new(typed, "is empty", "write HOST:PORT or PORT"));
    }
    if rest.bytes().all(|byte| byte.is_ascii_digit())
        || rest.strip_prefix('-').is_some_and(|r| r.parse::<u64>().is_ok())
    {
        return Ok((Host::Loopback, port_of(typed, rest)?));
    }
    if let Some(bracketed) = rest.strip_prefix('[') {
        return split_bracketed(typed, bracketed);
    }
    if let Some(wrong) = of_another_tool(typed).filter(|_| !typed.contains("://")) {
        return Err(wrong);
    }
    if rest == "-" {
        return Err(AddressError::new(typed, "is no address", "standard input and output are stdio"));
    }
    if is_list_of_ports(rest) {
        return Err(AddressError::new(typed, "names several ports", "an address has one: write each by itself"));
    }
    let Some((host, port)) = rest.rsplit_once(':') else {
        if let Some(help) = file_meant(typed) {
            return Err(AddressError::new(typed, "is a file, and no address", help));
        }
        let help = if typed.starts_with(['/', '~']) || typed.contains('/') && typed.ends_with(".sock") {
            format!("a Unix socket is unix:{typed}")
        } else {
            format!("write {rest}:9999, or the port as the next word")
        };
        return Err(AddressError::new(typed, "has no port", help));
    };
    if host.contains(':') {
        return Err(with_colons(typed, rest, host, port));
    }
    if let Some(scheme) = Scheme::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(host)) {
        let (name, help) =
            (scheme.name(), format!("write {}://:{port} or {}://HOST:{port}", scheme.name(), scheme.name()));
        return Err(AddressError::new(typed, format!("has the scheme `{name}` where the host stands"), help));
    }
    let port = port_of(typed, port)?;
    Ok((host_of(typed, host)?, port))
}

/// What to write for the name of a transcript, or of another file, that stands where an address does.
fn file_meant(typed: &str) -> Option<String> {
    let path = Path::new(typed);
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("talk")) {
        return Some(format!("a transcript is played with --play {typed}"));
    }
    // A name without a dot is that of a host sooner than that of a file, even where there is such a file.
    (typed.contains(['.', '/']) && path.is_file())
        .then(|| format!("--play {typed} plays it if it is a transcript; an address is HOST:PORT or PORT"))
}

/// What stands behind an opening bracket: an IPv6 address, and a port.
fn split_bracketed(typed: &str, bracketed: &str) -> Result<(Host, u16), AddressError> {
    let Some((inside, behind)) = bracketed.split_once(']') else {
        return Err(AddressError::new(typed, "opens a bracket and never closes it", "write [::1]:9999"));
    };
    let Some(port) = behind.strip_prefix(':') else {
        return Err(AddressError::new(typed, "has no port", format!("write [{inside}]:9999")));
    };
    let (ip, scope) = match inside.split_once('%') {
        Some((ip, scope)) => (ip, scope_of(typed, scope)?),
        None => (inside, 0),
    };
    let ip: Ipv6Addr = ip.parse().map_err(|_| {
        AddressError::new(
            typed,
            format!("has `{inside}` in brackets"),
            "only IPv6 addresses stand in brackets: [::1]:9999",
        )
    })?;
    Ok((Host::Ip(IpAddr::V6(ip), scope), port_of(typed, port)?))
}

/// Why a host that has colons is none.
fn with_colons(typed: &str, rest: &str, host: &str, port: &str) -> AddressError {
    let scheme = &typed[..typed.len() - rest.len()];
    // `::1:9999` is a whole IPv6 address as well; who writes it means the port.
    let help = match (host.parse::<Ipv6Addr>(), rest.parse::<Ipv6Addr>()) {
        (Ok(_), _) if port.parse::<u16>().is_ok() => format!("write {scheme}[{host}]:{port}"),
        (_, Ok(_)) => format!("write {scheme}[{rest}]:9999"),
        _ => {
            let help = match rest.contains(',') {
                true => "write each address as a word of its own",
                false => "write [SCHEME://]HOST:PORT, and an IPv6 address in brackets: [::1]:9999",
            };
            return AddressError::new(typed, "has more than one colon", help);
        }
    };
    AddressError::new(typed, "looks like an IPv6 address without brackets", help)
}

fn host_of(typed: &str, host: &str) -> Result<Host, AddressError> {
    match host {
        "" | "*" => Ok(Host::Every),
        _ => match host.parse::<IpAddr>() {
            Ok(ip) => Ok(Host::Ip(ip, 0)),
            // The resolver takes 1234 for 0.0.4.210 (inet_aton(3)).
            Err(_) if host.bytes().all(|byte| byte.is_ascii_digit()) => {
                let what = format!("has the number `{host}` for a host");
                Err(AddressError::new(typed, what, "write HOST:PORT, or the port alone"))
            }
            Err(_) if is_name(host) => Ok(Host::Name(host.to_owned())),
            Err(_) => {
                let what = format!("has `{host}` for a host");
                Err(AddressError::new(
                    typed,
                    what,
                    "a host is a name such as localhost, or an address such as 127.0.0.1",
                ))
            }
        },
    }
}

/// `7001,7004` or `7001-7003`.
fn is_list_of_ports(text: &str) -> bool {
    let mut parts = text.split([',', '-']);
    text.contains([',', '-']) && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_name(host: &str) -> bool {
    host.len() <= 253
        && !host.starts_with(['-', '.'])
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

fn port_of(typed: &str, port: &str) -> Result<u16, AddressError> {
    port.parse::<u16>().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(|| {
        if port.is_empty() {
            return AddressError::new(typed, "has no port", "write a number from 0 to 65535 behind the colon");
        }
        let what = if port == typed { "is not a port".to_owned() } else { format!("has the port `{port}`") };
        let help = match service(port) {
            Some(number) => format!("ports are written as numbers: {port} is {number}"),
            None if is_list_of_ports(port) => "an address has one port: write each by itself".to_owned(),
            None => "ports are numbers from 0 to 65535".to_owned(),
        };
        AddressError::new(typed, what, help)
    })
}

/// The number of a service that people know by name (the registry of RFC 6335).
fn service(name: &str) -> Option<u16> {
    const KNOWN: [(&str, u16); 14] = [
        ("echo", 7),
        ("discard", 9),
        ("daytime", 13),
        ("ftp", 21),
        ("ssh", 22),
        ("telnet", 23),
        ("smtp", 25),
        ("domain", 53),
        ("dns", 53),
        ("finger", 79),
        ("http", 80),
        ("pop3", 110),
        ("imap", 143),
        ("https", 443),
    ];
    KNOWN.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| number)
}

/// `TCP4-LISTEN:9000`, `tcp:localhost:80`: an address as socat and others write it.
fn of_another_tool(typed: &str) -> Option<AddressError> {
    let (word, rest) = typed.split_once(':')?;
    let lower = word.to_ascii_lowercase();
    let (name, does) = lower.split_once('-').map_or((lower.as_str(), ""), |(name, does)| (name, does));
    let scheme = name.trim_end_matches(['4', '6']);
    let end = rest.split(',').next().unwrap_or(rest);
    let help = match name {
        _ if rest.is_empty() => None,
        "system" => Some(format!("write sh:{rest}")),
        "file" | "open" | "gopen" => Some(format!("a file is a program that reads it: exec:'cat {end}'")),
        "create" => Some(format!("a file is a program that writes it: sh:'cat > {end}'")),
        "abstract" => Some(format!("write unix:@{end}")),
        _ => None,
    };
    // A host may have such a name.
    if let Some(help) = help.filter(|_| rest.parse::<u16>().is_err()) {
        return Some(AddressError::new(typed, "is how another tool writes it", help));
    }
    if !matches!(does, "" | "listen" | "l" | "connect" | "sendto" | "recv" | "recvfrom" | "datagram" | "client")
        || !matches!(scheme, "tcp" | "udp" | "unix" | "ssl" | "openssl")
        // `udp:9999` is answered below.
        || does.is_empty() && !rest.contains(':')
        || rest.is_empty()
    {
        return None;
    }
    let rest = rest.split(',').next().unwrap_or(rest);
    let scheme = if matches!(scheme, "ssl" | "openssl") { "tls" } else { scheme };
    let help = match scheme {
        "unix" => format!("write unix:{rest}"),
        _ if rest.contains(':') => format!("write {scheme}://{rest}"),
        _ => format!("write {scheme}://:{rest}"),
    };
    Some(AddressError::new(typed, "is how another tool writes it", help))
}

/// The number of an interface, or that of the one that has this name.
pub(crate) fn scope_number(scope: &str) -> Option<u32> {
    scope.parse::<u32>().ok().or_else(|| interface::number(scope))
}

/// What stands behind the `%` of an address.
fn scope_of(typed: &str, scope: &str) -> Result<u32, AddressError> {
    scope_number(scope).ok_or_else(|| {
        AddressError::new(typed, format!("has the scope `{scope}`"), "no interface of this machine has that name")
    })
}
