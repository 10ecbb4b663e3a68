//! URLs (RFC 3986; RFC 9110, section 4.2): as people type them, and as a redirect writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use iri_string::types::{UriAbsoluteStr, UriReferenceStr};

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
        Address { scheme, target: Target::Inet { host: self.host.clone(), port: self.port } }
    }
}

/// A URL that can be fetched. It shows itself without the credentials it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whom to ask.
    pub origin: Origin,
    /// Path and query, percent-encoded where they must be: what the request line says.
    pub target: String,
    /// User and password, decoded.
    pub credentials: Option<(String, String)>,
}

/// Why a URL cannot be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlError {
    url: String,
    what: String,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.url, self.what)
    }
}

impl std::error::Error for UrlError {}

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
        let wrong = |what: String| UrlError { url: without_credentials(typed), what };
        let (scheme, rest) = match split_scheme(typed) {
            Some((scheme, rest)) => (scheme_of(scheme).map_err(wrong)?, rest),
            None => (UrlScheme::Http, typed),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, authority),
        };
        let origin = origin(scheme, place).map_err(wrong)?;
        let target = rest.split('#').next().unwrap_or_default();
        let slash = if target.starts_with('/') { "" } else { "/" };
        let target = encoded(&format!("{slash}{target}"));
        Ok(Self { origin, target, credentials: credentials.map(user_and_password) })
    }

    /// Where a redirect leads from here (RFC 9110, section 10.2.2). Credentials in it are ignored: who redirects does not
    /// choose as whom we ask.
    ///
    /// # Errors
    /// It is no URL, or leads to where we do not go.
    pub fn redirected(&self, location: &[u8]) -> Result<Self, UrlError> {
        let location = encoded(&String::from_utf8_lossy(location));
        let wrong = |what: &str| UrlError { url: without_credentials(&location), what: what.to_owned() };
        let reference = UriReferenceStr::new(&location).map_err(|_| wrong("is no URL"))?;
        let base = format!("{}://{}{}", self.origin.scheme.name(), self.origin.authority(), self.target);
        let base = UriAbsoluteStr::new(&base).map_err(|_| wrong("cannot be resolved"))?;
        let resolved = reference.resolve_against(base).to_string();
        let url = Self::parse(&resolved)?;
        if self.origin.scheme == UrlScheme::Https && url.origin.scheme == UrlScheme::Http {
            return Err(UrlError { url: url.to_string(), what: "is not secure, and this connection was".to_owned() });
        }
        // The same place is connected to in the same way, as with the scope of an address, which no URL holds.
        let same = self.origin.authority() == url.origin.authority() && self.origin.scheme == url.origin.scheme;
        let origin = if same { self.origin.clone() } else { url.origin };
        Ok(Self { origin, target: url.target, credentials: None })
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
    if let Some((scheme, rest)) = typed.split_once("://")
        && !scheme.contains(['/', '?', '#', '@'])
    {
        return Some((scheme, rest));
    }
    let (scheme, rest) = typed.split_once(':')?;
    // A port, or a path of a host: no scheme. Anything else, such as `file:x`, is one that we do not go to.
    let is_port = rest.split(['/', '?', '#', '@']).next().is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte));
    (is_scheme && !is_port && !rest.contains('@')).then_some((scheme, rest))
}

fn scheme_of(scheme: &str) -> Result<UrlScheme, String> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok(UrlScheme::Http),
        "https" => Ok(UrlScheme::Https),
        _ => Err(format!("has the scheme `{scheme}`, and only http and https are fetched")),
    }
}

fn origin(scheme: UrlScheme, place: &str) -> Result<Origin, String> {
    if place.is_empty() {
        return Err("has no host: write http://HOST/PATH".to_owned());
    }
    if !place.is_ascii() {
        return Err("has a host that is not ASCII: write it as DNS does, xn--…".to_owned());
    }
    let is_port = place.bytes().all(|byte| byte.is_ascii_digit());
    let has_port = is_port
        || match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').is_some_and(|(_, behind)| behind.starts_with(':')),
            None => place.contains(':'),
        };
    let address = if has_port { place.trim_end_matches(':').to_owned() } else { format!("{place}:{}", scheme.port()) };
    // `host:` has its default port (RFC 3986, section 3.2.3).
    let address = if has_port && place.ends_with(':') { format!("{address}:{}", scheme.port()) } else { address };
    let parsed = Address::parse(&address).map_err(|error| {
        let text = error.to_string();
        text.strip_prefix(&format!("`{address}` ")).unwrap_or(&text).to_owned()
    })?;
    let Target::Inet { host, port } = parsed.target else { return Err("has no host".to_owned()) };
    if port == 0 {
        return Err("has the port 0, which nobody listens on".to_owned());
    }
    let host = match host {
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => Host::Loopback,
        Host::Name(name) => Host::Name(name.to_ascii_lowercase()),
        // `:8080` is the loopback to who connects.
        Host::Every => Host::Loopback,
        Host::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED), _) => Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        other => other,
    };
    Ok(Origin { scheme, host, port })
}

fn user_and_password(credentials: &str) -> (String, String) {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let decoded = |text: &str| String::from_utf8_lossy(&percent_decoded(text)).into_owned();
    (decoded(user), decoded(password))
}

/// A URL for messages: whose password it holds is nobody's business.
fn without_credentials(url: &str) -> String {
    let begin = url.find("//").map_or(0, |at| at + 2);
    let end = url[begin..].find(['/', '?', '#']).map_or(url.len(), |at| begin + at);
    match url[begin..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..begin], &url[begin + at + 1..]),
        None => url.to_owned(),
    }
}

/// Encodes what may not stand in a URL and leaves what is encoded already (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let next_are_hex = || {
            let next = text.as_bytes().get(at + 1..at + 3);
            next.is_some_and(|next| next.iter().all(u8::is_ascii_hexdigit))
        };
        match byte {
            b'%' if next_are_hex() => url.push('%'),
            b'!' | b'#' | b'$' | b'&'..=b';' | b'=' | b'?'..=b'Z' | b'[' | b']' | b'_' | b'a'..=b'z' | b'~' => {
                url.push(char::from(byte));
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
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

    #[test]
    fn every_form_that_people_type_is_read() {
        for (typed, written) in [
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
            ("http://example.org/%zz%41", "http://example.org/%25zz%41"),
            ("http://example.org/http://other/", "http://example.org/http://other/"),
            ("example.org/?u=http://other/", "http://example.org/?u=http://other/"),
        ] {
            let url = Url::parse(typed).unwrap();
            assert_eq!(url.to_string(), written, "{typed}");
        }
        assert_eq!(Url::parse("http://a%40b:c%3a@h/").unwrap().credentials, Some(("a@b".into(), "c:".into())));
    }

    #[test]
    fn what_cannot_be_fetched_says_why_and_shows_no_password() {
        for (typed, says) in [
            ("ftp://x/", "only http and https are fetched"),
            ("file:///etc/passwd", "only http and https are fetched"),
            ("javascript:alert", "only http and https are fetched"),
            ("http://", "has no host"),
            ("http:///x", "has no host"),
            ("", "has no host"),
            ("http://x:99999/", "ports are numbers from 0 to 65535"),
            ("http://x:0/", "has the port 0"),
            ("http://a b/", "has `a b` for a host"),
            ("http://bücher.example/", "write it as DNS does"),
            ("http://::1/", "IPv6 address without brackets"),
        ] {
            let error = Url::parse(typed).unwrap_err().to_string();
            assert!(error.contains(says), "{typed}: {error}");
        }
        let error = Url::parse("ftp://me:secret@x/").unwrap_err().to_string();
        assert!(error.starts_with("`ftp://x/` "), "{error}");
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
        ] {
            let url = from.redirected(location.as_bytes()).unwrap();
            assert_eq!((url.to_string().as_str(), url.credentials), (to, None), "{location}");
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
