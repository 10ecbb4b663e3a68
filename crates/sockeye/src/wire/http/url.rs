//! URLs as browsers and curl take them (the WHATWG's URL standard; RFC 9110, section 4.2): as people type them, and as a redirect
//! writes them. The `url` crate reads them; what it does not know is ours: ports of the loopback and zones of addresses.

mod error;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use url::{ParseError, Position};

pub use error::{UrlError, UrlErrorKind};

use crate::address::{Address, Host, Scheme, Target};

/// The schemes that are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UrlScheme {
    /// HTTP over TCP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl UrlScheme {
    /// As it is written before `://`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that may be left out.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Where credentials may go: the same scheme, host and port (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The scheme.
    pub scheme: UrlScheme,
    /// The host; names in small letters.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// The host as it is written in a URL and looked for in a certificate; brackets only if asked for.
    pub(crate) fn host_name(&self, brackets: bool) -> String {
        match &self.host {
            Host::Every | Host::Loopback => "localhost".to_owned(),
            Host::Ip(IpAddr::V6(ip), _) if brackets => format!("[{ip}]"),
            Host::Ip(ip, _) => ip.to_string(),
            Host::Name(name) => name.clone(),
        }
    }

    /// What the Host field says (RFC 9110, section 7.2).
    pub(crate) fn authority(&self) -> String {
        let host = self.host_name(true);
        if self.port == self.scheme.port() { host } else { format!("{host}:{}", self.port) }
    }

    /// Where to connect.
    pub(crate) fn address(&self) -> Address {
        let scheme = Some(match self.scheme {
            UrlScheme::Http => Scheme::Http,
            UrlScheme::Https => Scheme::Https,
        });
        Address::new(scheme, Target::Inet { host: self.host.clone(), port: self.port })
    }
}

/// A URL that can be fetched. It shows itself without the credentials it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// The host to ask.
    pub origin: Origin,
    /// Path and query, percent-encoded where they must be: what the request line says.
    pub target: String,
    /// User and password, decoded. They are bytes: not everybody who chose one wrote UTF-8.
    pub credentials: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.origin.scheme.name(), self.origin.authority(), self.target)
    }
}

impl Url {
    /// Reads a URL as it was typed: without a scheme it is `http`, and a bare port is one of the loopback.
    ///
    /// # Errors
    /// It is no URL, or none that can be fetched.
    pub fn parse(typed: &str) -> Result<Self, UrlError> {
        // What was pasted may hold line ends and tabs, which are no part of any URL.
        let clean: String =
            typed.trim_matches(|c: char| c <= ' ').chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
        let wrong = |kind: UrlErrorKind| UrlError { url: without_credentials(&clean), kind };
        let (scheme, rest) = match split_scheme(&clean) {
            Some((scheme, rest)) => (scheme_of(scheme).map_err(wrong)?, rest),
            None => (UrlScheme::Http, clean.as_str()),
        };
        let rest = rest.trim_start_matches(['/', '\\']);
        let (authority, behind) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
        let (before, place) = authority.rsplit_once('@').map_or(("", authority), |(_, place)| {
            let before = authority.len() - place.len();
            (&authority[..before], place)
        });
        let port = place.strip_prefix(':').unwrap_or(place);
        let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        // A larger number is an IPv4 address (the standard's "IPv4 parser").
        let place = if is_port && (place.starts_with(':') || port.parse::<u16>().is_ok()) {
            format!("localhost:{port}")
        } else {
            place.to_owned()
        };
        if place.parse::<std::net::Ipv6Addr>().is_ok() {
            return Err(wrong(UrlErrorKind::NoBrackets(place)));
        }
        let whole = format!("{}://{before}{place}{behind}", scheme.name());
        Self::read(&whole, None).map_err(wrong)
    }

    /// With more in its query.
    #[must_use]
    pub fn with_query(&self, more: &str) -> Self {
        let mut whole = self.clone();
        let joint = match (self.target.contains('?'), self.target.ends_with(['?', '&'])) {
            _ if more.is_empty() => return whole,
            (false, _) => "?",
            (true, true) => "",
            (true, false) => "&",
        };
        // What may not stand in a query is encoded as in any other.
        let base = format!("http://x{}{joint}{}", self.target, more.replace('#', "%23"));
        if let Ok(url) = url::Url::parse(&base) {
            url[Position::BeforePath..Position::AfterQuery].clone_into(&mut whole.target);
        }
        whole
    }

    /// Where a redirect leads from here (RFC 9110, section 10.2.2). Credentials in it are ignored: who redirects does not
    /// choose which user we are.
    ///
    /// # Errors
    /// It is no URL, or leads to where we do not go.
    pub fn redirected(&self, location: &[u8]) -> Result<Self, UrlError> {
        // Bytes above ASCII are kept as they came, in whatever encoding: the server that wrote them takes them back like that.
        let mut text = String::with_capacity(location.len());
        for &byte in location {
            match byte {
                0x80.. => text.push_str(&format!("%{byte:02X}")),
                _ => text.push(char::from(byte)),
            }
        }
        let wrong = |kind: UrlErrorKind| UrlError { url: without_credentials(&text), kind };
        let base = url::Url::parse(&self.to_string()).map_err(|_| wrong(UrlErrorKind::Unresolved))?;
        let url = Self::read(&text, Some(&base)).map_err(wrong)?;
        if self.origin.scheme == UrlScheme::Https && url.origin.scheme == UrlScheme::Http {
            return Err(UrlError { url: url.to_string(), kind: UrlErrorKind::Insecure });
        }
        // The same place is connected to in the same way, as with the scope of an address, which no URL holds.
        let same = self.origin.authority() == url.origin.authority() && self.origin.scheme == url.origin.scheme;
        let origin = if same { self.origin.clone() } else { url.origin };
        Ok(Self { origin, target: url.target, credentials: None })
    }

    /// Reads what is a URL to the standard, but for a zone, of which it says nothing (RFC 6874).
    fn read(text: &str, base: Option<&url::Url>) -> Result<Self, UrlErrorKind> {
        let (text, zone) = without_zone(text);
        let url = url::Url::options().base_url(base).parse(&text).map_err(|error| said(error, &text))?;
        let scheme = scheme_of(url.scheme())?;
        let port = url.port().unwrap_or(scheme.port());
        if port == 0 {
            return Err(UrlErrorKind::PortZero);
        }
        let host = match (url.host(), zone) {
            (None, _) => return Err(UrlErrorKind::NoHost),
            (Some(url::Host::Domain("localhost")), _) => Host::Loopback,
            (Some(url::Host::Domain(name)), _) => Host::Name(name.to_owned()),
            (Some(url::Host::Ipv4(Ipv4Addr::UNSPECIFIED)), _) => Host::Ip(Ipv4Addr::LOCALHOST.into(), 0),
            (Some(url::Host::Ipv4(ip)), _) => Host::Ip(ip.into(), 0),
            (Some(url::Host::Ipv6(ip)), None) => Host::Ip(ip.into(), 0),
            (Some(url::Host::Ipv6(ip)), Some(zone)) => {
                let address = format!("[{ip}%{zone}]:{port}");
                let parsed = Address::parse(&address).map_err(|error| UrlErrorKind::Zone(Box::new(error)))?;
                let Target::Inet { host, .. } = parsed.target else { return Err(UrlErrorKind::NoHost) };
                host
            }
        };
        let decoded = |text: &str| percent_decoded(text);
        let password = url.password();
        let credentials = (!url.username().is_empty() || password.is_some())
            .then(|| (decoded(url.username()), decoded(password.unwrap_or_default())));
        let target = url[Position::BeforePath..Position::AfterQuery].to_owned();
        Ok(Self { origin: Origin { scheme, host, port }, target, credentials })
    }

    /// The host alone, without brackets and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.origin.host_name(false)
    }

    /// For messages: a long one is cut.
    #[must_use]
    pub fn shown(&self) -> String {
        const LONGEST: usize = 200;
        let whole = self.to_string();
        // All is ASCII: what is not stands encoded.
        match whole.get(..LONGEST) {
            Some(beginning) => format!("{beginning}…"),
            None => whole,
        }
    }

    /// The path's last part as it was typed, still percent-encoded; empty if the path ends with a slash.
    #[must_use]
    pub fn last_segment(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

/// A scheme and what stands behind it. `localhost:80` has none, though a colon stands in it.
fn split_scheme(typed: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = typed.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if is_scheme && rest.starts_with(['/', '\\']) && rest[1..].starts_with(['/', '\\']) {
        return Some((scheme, rest));
    }
    // A port, or a path of a host: no scheme. Anything else, such as `file:x`, is one that we do not go to.
    let port = rest.split(['/', '\\', '?', '#', '@']).next().unwrap_or_default();
    let is_ours = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    // `http:/example.org` lacks a slash, and is no host by that name (the standard's "special authority slashes state").
    let is_port = port.bytes().all(|b| b.is_ascii_digit()) && !(is_ours && port.is_empty());
    (is_scheme && !is_port && (is_ours || !(rest.contains('@') || scheme.contains('.')))).then_some((scheme, rest))
}

fn scheme_of(scheme: &str) -> Result<UrlScheme, UrlErrorKind> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok(UrlScheme::Http),
        "https" => Ok(UrlScheme::Https),
        _ => Err(UrlErrorKind::Scheme(scheme.to_owned())),
    }
}

/// Where the authority of a URL stands, if it has one: behind the slashes that follow the scheme.
fn authority_of(url: &str) -> Option<std::ops::Range<usize>> {
    let behind_scheme = split_scheme(url).map_or(0, |(scheme, _)| scheme.len() + 1);
    let slashes = url[behind_scheme..].bytes().take_while(|byte| matches!(byte, b'/' | b'\\')).count();
    let begin = behind_scheme + slashes;
    let end = url[begin..].find(['/', '\\', '?', '#']).map_or(url.len(), |at| begin + at);
    (behind_scheme > 0 || slashes > 1 || slashes == 0).then_some(begin..end)
}

/// Takes the zone out of `[fe80::1%25eth0]`, or `[fe80::1%eth0]` as many write it.
fn without_zone(url: &str) -> (String, Option<String>) {
    let zone = authority_of(url).and_then(|authority| {
        let open = authority.start + url[authority.clone()].rfind('@').map_or(0, |at| at + 1);
        let bracketed = url[open..authority.end].strip_prefix('[')?;
        let percent = open + 1 + bracketed.find('%')?;
        let close = open + 1 + bracketed.find(']')?;
        (percent < close).then_some((percent, close))
    });
    let Some((percent, close)) = zone else { return (url.to_owned(), None) };
    let written = &url[percent + 1..close];
    let zone = percent_decoded(written.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(written));
    (format!("{}{}", &url[..percent], &url[close..]), Some(String::from_utf8_lossy(&zone).into_owned()))
}

/// What is wrong with a URL.
fn said(error: ParseError, url: &str) -> UrlErrorKind {
    let host = authority_of(url).map(|authority| {
        let place = url[authority].rsplit('@').next().unwrap_or_default();
        let port = place.rfind(':').filter(|&at| !place[at..].contains(']'));
        port.map_or(place, |at| &place[..at]).to_owned()
    });
    let host = host.unwrap_or_default();
    match error {
        ParseError::EmptyHost => UrlErrorKind::NoHost,
        ParseError::InvalidPort => UrlErrorKind::Port,
        ParseError::IdnaError | ParseError::InvalidDomainCharacter => UrlErrorKind::HostName(host),
        ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address => UrlErrorKind::HostAddress(host),
        other => UrlErrorKind::Malformed(other.to_string()),
    }
}

/// A URL for messages: its password is not shown.
fn without_credentials(url: &str) -> String {
    let shown = authority_of(url).and_then(|authority| {
        let at = url[authority.clone()].rfind('@')?;
        Some(format!("{}{}", &url[..authority.start], &url[authority.start + at + 1..]))
    });
    shown.unwrap_or_else(|| url.to_owned())
}

/// Everything but letters, digits and -._~ by its number (RFC 3986, section 2.3).
#[must_use]
pub fn percent_encoded(bytes: &[u8]) -> String {
    let encoded = bytes.iter().map(|&byte| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// Undoes percent-encoding; what is not encoded properly stays as it is.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, behind) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                bytes.push(hex(high).unwrap_or_default() << 4 | hex(low).unwrap_or_default());
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// URLs as they are typed, and as they are asked for.
    const TYPED: &[(&str, &str)] = &[
        ("http://example.org", "http://example.org/"),
        ("example.org/a/b?c=d#e", "http://example.org/a/b?c=d"),
        ("HTTPS://Example.ORG:443/A", "https://example.org/A"),
        ("http://example.org:8080?x", "http://example.org:8080/?x"),
        ("localhost:8080/x y", "http://localhost:8080/x%20y"),
        ("localhost:8080", "http://localhost:8080/"),
        ("8080", "http://localhost:8080/"),
        (":8080/x", "http://localhost:8080/x"),
        ("8080/x", "http://localhost:8080/x"),
        ("http://[::1]:81/", "http://[::1]:81/"),
        ("[::1]/", "http://[::1]/"),
        ("http://example.org:/x", "http://example.org/x"),
        ("https://a:b@example.org/ü?ä#f", "https://example.org/%C3%BC?%C3%A4"),
        ("a:1@example.org", "http://example.org/"),
        ("http://example.org/%zz%41", "http://example.org/%zz%41"),
        ("http:///x", "http://x/"),
        ("//example.org/x", "http://example.org/x"),
        ("http:example.org/x", "http://example.org/x"),
        ("http:/example.org/x", "http://example.org/x"),
        ("HTTPS:/example.org:81?a", "https://example.org:81/?a"),
        ("https:\\example.org", "https://example.org/"),
        ("http:81/x", "http://http:81/x"),
        ("web:/x", "http://web/x"),
        ("http:\\\\example.org\\a\\b?c\\d", "http://example.org/a/b?c\\d"),
        (" http://example.org/a\tb\n ", "http://example.org/ab"),
        ("http://example.org/?a[b]=c|d^e`f", "http://example.org/?a[b]=c|d^e`f"),
        ("http://example.org/a#b#c?d", "http://example.org/a"),
        ("http://example.org/?\"<>'{}", "http://example.org/?%22%3C%3E%27{}"),
        ("http://example.org/a/./b/../c/%2e%2E/d", "http://example.org/a/d"),
        ("http://example.org/?", "http://example.org/?"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://ＥＸ%61mple.org/", "http://example.org/"),
        ("http://fußball.example./", "http://xn--fuball-cta.example./"),
        ("http://日本語.jp:80/", "http://xn--wgv71a119e.jp/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0x7f.0.0.01:81/", "http://127.0.0.1:81/"),
        ("http://[0:0::1]:81/", "http://[::1]:81/"),
        ("http://u:p@[::ffff:1.2.3.4]/", "http://[::ffff:1.2.3.4]/"),
        ("http://:8080/", "http://localhost:8080/"),
        ("http://a@b@example.org/@", "http://example.org/@"),
        ("my-host:8080/x:y", "http://my-host:8080/x:y"),
        ("http://a_b.example/", "http://a_b.example/"),
        ("http://example.org/http://other/", "http://example.org/http://other/"),
        ("example.org/?u=http://other/", "http://example.org/?u=http://other/"),
    ];

    #[test]
    fn every_form_that_people_type_is_read() {
        for &(typed, written) in TYPED {
            let url = Url::parse(typed).unwrap();
            assert_eq!(url.to_string(), written, "{typed}");
        }
        for (typed, user, password) in [
            ("http://a%40b:c%3a@h/", b"a@b".as_slice(), b"c:".as_slice()),
            ("u:%FF@h", b"u", b"\xff"),
            ("http://%e9@h/", b"\xe9", b""),
            ("http://:p@h/", b"", b"p"),
            ("http://ü:p q@h/", "ü".as_bytes(), b"p q"),
            ("http://u:a%zz@h/", b"u", b"a%zz"),
            ("http:\\\\u:p@h/", b"u", b"p"),
        ] {
            let expected = Some((user.to_vec(), password.to_vec()));
            assert_eq!(Url::parse(typed).unwrap().credentials, expected, "{typed}");
        }
    }

    #[test]
    fn what_cannot_be_fetched_says_why_and_shows_no_password() {
        for (typed, says) in [
            ("ftp://x/", "only http and https are fetched"),
            ("file:///etc/passwd", "only http and https are fetched"),
            ("javascript:alert", "only http and https are fetched"),
            ("http://", "has no host"),
            ("http:///", "has no host"),
            ("http:", "has no host"),
            ("https:/", "has no host"),
            ("http:?x", "has no host"),
            ("", "has no host"),
            ("http://u:p@/", "has no host"),
            ("http://x:99999/", "ports are numbers from 0 to 65535"),
            ("http://x:0/", "has the port 0"),
            ("http://a b/", "has `a b` for a host"),
            ("http://a%2fb/", "has `a%2fb` for a host"),
            ("http://[::1/", "no address"),
            ("http://[fe80::1%25nowhere]/", "nowhere"),
            ("http://xn--a/", "for a host"),
            ("http://1.2.3.256/", "no address"),
            ("http://x:8o/", "ports are numbers"),
            ("http://::1/", "IPv6 address without brackets"),
        ] {
            let error = Url::parse(typed).unwrap_err().to_string();
            assert!(error.contains(says), "{typed}: {error}");
        }
        let error = Url::parse("ftp://me:secret@x/").unwrap_err().to_string();
        assert!(error.starts_with("`ftp://x/` "), "{error}");
        for typed in
            ["ftp:\\\\me:secret@x", "http:\\\\me:secret@x:y", "me:secret@x:y", "//me:secret@x:y", "https:me:secret@x:y"]
        {
            let error = Url::parse(typed).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{typed}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_a_kind() {
        for (typed, kind) in [
            ("ftp://x/", UrlErrorKind::Scheme("ftp".to_owned())),
            ("http://", UrlErrorKind::NoHost),
            ("http://a b/", UrlErrorKind::HostName("a b".to_owned())),
            ("http://1.2.3.256/", UrlErrorKind::HostAddress("1.2.3.256".to_owned())),
            ("http://::1/", UrlErrorKind::NoBrackets("::1".to_owned())),
            ("http://x:99999/", UrlErrorKind::Port),
            ("http://x:0/", UrlErrorKind::PortZero),
        ] {
            assert_eq!(Url::parse(typed).unwrap_err().kind(), &kind, "{typed}");
        }
        let error = Url::parse("http://[fe80::1%25nowhere]/").unwrap_err();
        assert!(matches!(error.kind(), UrlErrorKind::Zone(_)), "{error}");
        assert!(std::error::Error::source(&error).is_some_and(|source| source.is::<crate::address::AddressError>()));
        let says = "`http://[fe80::1%25nowhere]/` has the scope `nowhere`: no interface of this machine has that name";
        assert_eq!(error.to_string(), says);
        let from = Url::parse("https://x/").unwrap();
        assert_eq!(from.redirected(b"http://x/").unwrap_err().kind(), &UrlErrorKind::Insecure);
    }

    #[test]
    fn a_zone_of_an_address_is_read_in_each_form() {
        for typed in
            ["http://[fe80::1%25lo]:81/x", "http://[fe80::1%lo]:81/x", "[fe80::1%25lo]:81/x", "u:p@[fe80::1%lo]:81/x"]
        {
            let url = Url::parse(typed).unwrap();
            let Host::Ip(ip, scope) = url.origin.host else { panic!("{typed}: it is an address") };
            assert_eq!((ip.to_string().as_str(), scope), ("fe80::1", 1), "{typed}");
            assert_eq!(url.to_string(), "http://[fe80::1]:81/x", "{typed}");
        }
        let from = Url::parse("http://[fe80::1%25lo]/a").unwrap();
        for location in ["b", "http://[fe80::1]/b", "http://[fe80::1%25lo]/b", "//[fe80::1%25lo]/b"] {
            assert_eq!(from.redirected(location.as_bytes()).unwrap().origin, from.origin, "{location}");
        }
    }

    /// Row 44 of the faults.
    #[test]
    fn a_redirect_is_resolved_and_never_leaves_http() {
        let from = Url::parse("https://me:secret@example.org/a/b/c?q").unwrap();
        for (location, to) in [
            ("/x", "https://example.org/x"),
            ("x", "https://example.org/a/b/x"),
            ("../x", "https://example.org/a/x"),
            ("../../../../x", "https://example.org/x"),
            ("?y", "https://example.org/a/b/c?y"),
            ("//other/x", "https://other/x"),
            ("https://example.org:444/", "https://example.org:444/"),
            ("https://you:too@example.org/x", "https://example.org/x"),
            ("/ü x", "https://example.org/%C3%BC%20x"),
            ("", "https://example.org/a/b/c?q"),
            ("#there", "https://example.org/a/b/c?q"),
            ("/a[1]|^?b[2]|^#c#d", "https://example.org/a[1]|^?b[2]|^"),
            ("\\x\\y", "https://example.org/x/y"),
            ("\\\\other\\x", "https://other/x"),
            ("https:x", "https://example.org/a/b/x"),
            ("/a//../b/.", "https://example.org/a/b/"),
            ("HTTPS://EXAMPLE.org:443/X", "https://example.org/X"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            (" /x ", "https://example.org/x"),
            ("x:/y", ""),
            ("./x:y", "https://example.org/a/b/x:y"),
        ] {
            if to.is_empty() {
                assert!(from.redirected(location.as_bytes()).is_err(), "{location}");
                continue;
            }
            let url = from.redirected(location.as_bytes()).unwrap();
            assert_eq!((url.to_string().as_str(), url.credentials), (to, None), "{location}");
        }
        for (location, to) in [
            (b"/\xfc".as_slice(), "/%FC"),
            (b"/?\xfc=\xe4", "/?%FC=%E4"),
            (b"/\xe2\x82\xac\x80", "/%E2%82%AC%80"),
            (b"/\x00\x1bx", "/%00%1Bx"),
        ] {
            assert_eq!(from.redirected(location).unwrap().target, to);
        }
        for location in
            ["http://example.org/", "file:///etc/passwd", "unix:/x", "gopher://x/", "data:,x", "//", "http:"]
        {
            assert!(from.redirected(location.as_bytes()).is_err(), "{location}");
        }
        assert!(from.redirected(b"/\xff\r\nX: y").unwrap().to_string().is_ascii());
        let plain = Url::parse("http://example.org/").unwrap();
        assert_eq!(plain.redirected(b"https://example.org/").unwrap().to_string(), "https://example.org/");
    }
}
