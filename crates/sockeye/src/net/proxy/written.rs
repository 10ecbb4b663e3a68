//! A proxy as it is written: `[SCHEME://][USER:PASSWORD@]HOST[:PORT]`.

use std::fmt;
use std::net::IpAddr;

use super::ProxyError;
use crate::address::{Address, Host, Target};
use crate::wire::socks::RequestError;

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub(crate) address: Address,
    /// The name that its certificate must be for, if it shows one.
    pub(crate) host: String,
    /// How it is spoken to.
    pub(crate) kind: Kind,
}

/// How a proxy is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    /// By HTTP.
    Http {
        /// Who asks.
        login: Option<Secret>,
    },
    /// By HTTP under TLS with the proxy itself (RFC 9110, section 9.3.6, leaves that open).
    Https {
        /// Who asks.
        login: Option<Secret>,
    },
    /// By SOCKS 4; by 4A where it looks names up itself.
    Socks4 {
        /// Whether the proxy looks names up.
        remote: bool,
        /// Who asks; may be empty.
        user: String,
    },
    /// By SOCKS 5.
    Socks5 {
        /// Whether the proxy looks names up.
        remote: bool,
        /// Who asks.
        login: Option<Secret>,
    },
}

/// User and password. They are shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl Secret {
    /// Both as SOCKS is given them.
    ///
    /// # Errors
    /// One of them is not UTF-8.
    pub(super) fn texts(&self) -> Result<(String, String), RequestError> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| RequestError::NotUtf8);
        Ok((text(&self.user)?, text(&self.password)?))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Kind {
    fn scheme(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Https { .. } => "https",
            Self::Socks4 { remote: false, .. } => "socks4",
            Self::Socks4 { remote: true, .. } => "socks4a",
            Self::Socks5 { remote: false, .. } => "socks5",
            Self::Socks5 { remote: true, .. } => "socks5h",
        }
    }

    /// Whether the proxy looks names up; else we do.
    pub(crate) fn is_remote(&self) -> bool {
        !matches!(self, Self::Socks4 { remote: false, .. } | Self::Socks5 { remote: false, .. })
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.kind.scheme(), self.address)
    }
}

impl Proxy {
    /// Whether it is spoken to under TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self.kind, Kind::Https { .. })
    }

    /// Reads a proxy as it is written: `http` without a scheme, and the port 1080 without one, or 443 under TLS, as curl has it.
    ///
    /// # Errors
    /// It is no proxy, or is spoken to in another way; what to write instead.
    pub fn parse(written: &str) -> Result<Self, ProxyError> {
        let wrong = |why: String| ProxyError::Unusable(why);
        let written = written.trim();
        let (scheme, rest) = written.split_once("://").unwrap_or(("http", written));
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let login = login.filter(|login| !matches!(*login, "" | ":")).map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Secret { user: percent_decoded(user), password: percent_decoded(password) }
        });
        let kind = match scheme.as_str() {
            "http" => Kind::Http { login },
            "https" => Kind::Https { login },
            "socks4" | "socks4a" => {
                let (user, password) = login.map(|login| login.texts()).transpose()?.unwrap_or_default();
                if !password.is_empty() {
                    return Err(wrong("SOCKS 4 knows a user and no password: take socks5://".to_owned()));
                }
                Kind::Socks4 { remote: scheme == "socks4a", user }
            }
            "socks5" | "socks5h" => {
                // RFC 1929, section 2.
                let fits = |text: &[u8]| (1..=255).contains(&text.len());
                if login.as_ref().is_some_and(|login| !fits(&login.user) || !fits(&login.password)) {
                    return Err(RequestError::Login.into());
                }
                Kind::Socks5 { remote: scheme == "socks5h", login }
            }
            "socks" => return Err(wrong("say which SOCKS: socks5h://, socks5://, socks4a:// or socks4://".to_owned())),
            _ => {
                let known = "http, https, socks4, socks4a, socks5 or socks5h";
                return Err(wrong(format!("a proxy is spoken to by {known}, and not by {scheme}")));
            }
        };
        if let Kind::Http { login: Some(login) } | Kind::Https { login: Some(login) } = &kind
            && login.user.contains(&b':')
        {
            return Err(wrong("a user name cannot hold a colon".to_owned()));
        }
        if place.is_empty() {
            return Err(wrong("the proxy is no URL such as http://HOST:PORT".to_owned()));
        }
        let mut address = Address::parse(&with_port(&place.to_ascii_lowercase(), &kind))
            .map_err(|error| wrong(format!("the proxy {error}")))?;
        address.scheme = None;
        let host = match &address.target {
            Target::Inet { host: Host::Name(name), .. } => name.clone(),
            Target::Inet { host: Host::Ip(IpAddr::V6(ip), _), .. } => ip.to_string(),
            Target::Inet { host: Host::Ip(ip, _), .. } => ip.to_string(),
            Target::Inet { .. } => "localhost".to_owned(),
            _ => return Err(wrong("a proxy is a host and a port, and no path".to_owned())),
        };
        Ok(Self { address, host, kind })
    }
}

/// A bare number is a port; where none is written there is a usual one.
fn with_port(place: &str, kind: &Kind) -> String {
    let behind_host = place.rsplit(']').next().unwrap_or_default();
    let is_number = place.bytes().all(|byte| byte.is_ascii_digit());
    if is_number || behind_host.split_once(':').is_some_and(|(_, port)| !port.is_empty()) {
        return place.to_owned();
    }
    let usual = if matches!(kind, Kind::Https { .. }) { 443 } else { 1080 };
    format!("{}:{usual}", place.strip_suffix(':').unwrap_or(place))
}

/// Bytes that stand as `%40`; what is none stays as it is (the WHATWG's URL standard).
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first == b'%'
            && let [high, low, behind @ ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            decoded.push(high << 4 | low);
            rest = behind;
            continue;
        }
        decoded.push(first);
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_as_curl_reads_it_and_written_without_its_secrets() {
        for (written, shown) in [
            ("8080", "http://8080"),
            ("proxy:80", "http://proxy:80"),
            ("proxy", "http://proxy:1080"),
            ("proxy:", "http://proxy:1080"),
            ("https://proxy", "https://proxy:443"),
            ("http://[::1]", "http://[::1]:1080"),
            ("http://u:p@[::1]:81/", "http://[::1]:81"),
            ("HTTP://Proxy:3128/path", "http://proxy:3128"),
            ("socks4://me@proxy", "socks4://proxy:1080"),
            ("socks4a://proxy:9", "socks4a://proxy:9"),
            ("socks5://u:p@127.0.0.1", "socks5://127.0.0.1:1080"),
            ("SOCKS5h://u:p%40:@proxy:1", "socks5h://proxy:1"),
        ] {
            let proxy = Proxy::parse(written).unwrap();
            assert_eq!(proxy.to_string(), shown, "{written}");
            assert!(!format!("{proxy:?}").contains("p@"), "{proxy:?}");
        }
        let Kind::Socks5 { remote: true, login: Some(login) } =
            Proxy::parse("socks5h://u:p%40%zz:@proxy:1").unwrap().kind
        else {
            panic!("it is one of SOCKS 5")
        };
        assert_eq!(login.texts(), Ok(("u".to_owned(), "p@%zz:".to_owned())));
    }

    #[test]
    fn what_is_no_proxy_is_answered_with_what_to_write() {
        for (written, says) in [
            ("", "no URL such as http://HOST:PORT"),
            ("ftp://x", "socks5 or socks5h, and not by ftp"),
            ("socks://x", "say which SOCKS"),
            ("socks4://u:p@x", "knows a user and no password"),
            ("http://a b:1", "has `a b` for a host"),
            ("http://x:99999", "has the port `99999`"),
            ("socks4://%ff@x", "not UTF-8"),
            ("socks5://u@x", "have 1 to 255 bytes"),
            ("http://u%3av:p@x", "a user name cannot hold a colon"),
        ] {
            let error = Proxy::parse(written).unwrap_err().to_string();
            assert!(error.contains(says), "{written}: {error}");
        }
    }
}
