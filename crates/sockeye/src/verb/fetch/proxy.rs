//! Proxies, chosen or from the usual environment variables: which, for whom, and the tunnel through one (RFC 9110, section
//! 9.3.6).

use std::sync::Arc;

use super::deadlines::Deadlines;
use super::digest::Asked;
use super::exchange::Exchange;
use super::no_proxy::NoProxy;
use super::outgoing::Sending;
use super::pool::IdleConnection;
use super::proof::{Asker, Login, ProxyProofs, SharedProof, Shows};
use super::{FetchError, Url, UrlScheme};
use crate::net::proxy::{Kind, Proxy, Secret};
use crate::net::stream::Stream;

/// Which proxies stand between us and which hosts.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    set: Option<Arc<Set>>,
    /// Whether they are shown no password.
    by_proof: bool,
}

/// The proxies as they were written; what is wrong with one counts when it is needed.
#[derive(Debug, Default)]
struct Set {
    http: Option<String>,
    https: Option<String>,
    without: NoProxy,
}

/// A proxy to go through, and whether it is shown a password.
#[derive(Clone)]
pub(super) struct Via {
    pub(super) proxy: Proxy,
    shows: Shows,
}

impl Proxies {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// As `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say, in small letters or capitals, small ones first.
    /// `HTTP_PROXY` in capitals is not looked at: a client of a CGI program can set it (CVE-2016-5385).
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            let set = |name: &str| variable(name).filter(|value| !value.is_empty());
            set(name).or_else(|| if name == "http_proxy" { None } else { set(&name.to_ascii_uppercase()) })
        };
        let [http, https, all] = ["http_proxy", "https_proxy", "all_proxy"].map(value);
        let (http, https) = (http.or_else(|| all.clone()), https.or(all));
        if http.is_none() && https.is_none() {
            return Self::none();
        }
        let without = NoProxy::read(&value("no_proxy").unwrap_or_default());
        Self { set: Some(Arc::new(Set { http, https, without })), by_proof: false }
    }

    /// This one for everything that `no_proxy` does not name.
    ///
    /// # Errors
    /// It is none, or is spoken to in another way.
    pub fn chosen(url: &str, no_proxy: Option<String>) -> Result<Self, FetchError> {
        Via::read(url, Shows::Password)?;
        let url = Some(url.to_owned());
        let without = NoProxy::read(&no_proxy.unwrap_or_default());
        Ok(Self { set: Some(Arc::new(Set { http: url.clone(), https: url, without })), by_proof: false })
    }

    /// The same, which are shown no password but a proof of knowing it, if they ask for that.
    #[must_use]
    pub fn by_proof(self) -> Self {
        Self { by_proof: true, ..self }
    }

    /// The proxy for a URL, if it is to go through one. Who is behind a proxy does not want to be seen without it: what
    /// cannot be read is an error.
    pub(super) fn for_url(&self, url: &Url) -> Result<Option<Via>, FetchError> {
        let Some(set) = &self.set else { return Ok(None) };
        let written = match url.origin.scheme {
            UrlScheme::Http => &set.http,
            UrlScheme::Https => &set.https,
        };
        match written {
            Some(written) if !set.without.has(&url.host()) => {
                let shows = if self.by_proof { Shows::Proof } else { Shows::Password };
                Via::read(written, shows).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Via {
    fn read(written: &str, shows: Shows) -> Result<Self, FetchError> {
        let proxy = Proxy::parse(written).map_err(|error| FetchError::Request(error.to_string()))?;
        Ok(Self { proxy, shows })
    }

    /// How it is told who asks, if it speaks HTTP and is told.
    pub(super) fn proof(&self, proofs: &ProxyProofs) -> Result<Option<SharedProof>, FetchError> {
        match &self.proxy.kind {
            Kind::Http { login: Some(login) } | Kind::Https { login: Some(login) } => {
                let Secret { user, password } = login.clone();
                proofs.of(&self.proxy.address.to_string(), &Login { user, password, shows: self.shows }).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// What came of asking for a tunnel.
pub(super) enum Tunnel {
    /// The stream belongs to the two ends.
    Open(Stream),
    /// The proxy wants a proof that can be given: it has to be asked again.
    Challenged,
}

/// Asks a proxy for a tunnel to a host and port.
pub(super) fn tunnel(
    stream: Stream,
    place: &str,
    proof: Option<SharedProof>,
    deadlines: Deadlines,
) -> Result<Tunnel, FetchError> {
    let mut request = http::Request::builder()
        .method(http::Method::CONNECT)
        .uri(place)
        .header(http::header::HOST, place)
        .header(http::header::USER_AGENT, concat!("sockeye/", env!("CARGO_PKG_VERSION")));
    let mut proof = proof.as_ref().map(|proof| proof.borrow_mut());
    if let Some(proof) = &mut proof
        && let Some(shown) = proof.show(Asked { method: "CONNECT", target: place, body: None })?
    {
        request = request.header(http::header::PROXY_AUTHORIZATION, shown);
    }
    let request = request.body(Sending::default()).map_err(|error| FetchError::Request(error.to_string()))?;
    let exchange = Exchange::begin(IdleConnection::Stream(Box::new(stream)), request, deadlines)?;
    if proof.is_some_and(|mut proof| proof.is_challenged(&exchange.head, Asker::Proxy, false)) {
        return Ok(Tunnel::Challenged);
    }
    if !(200..300).contains(&exchange.head.status) {
        let mut said = exchange.head.status_line();
        if exchange.head.status == 407 {
            said.push_str(&offered(&exchange.head.offers(Asker::Proxy.field())));
        }
        return Err(FetchError::Proxy(said));
    }
    match exchange.into_stream() {
        Some((stream, behind)) if behind.is_empty() => Ok(Tunnel::Open(stream)),
        // The server does not speak first in TLS, so another party put them there.
        _ => Err(FetchError::Protocol("the proxy sent bytes of its own into the tunnel".to_owned())),
    }
}

fn offered(schemes: &[String]) -> String {
    if schemes.is_empty() { String::new() } else { format!("; it takes {}", schemes.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &'static [(&str, &str)]) -> Proxies {
        Proxies::from_environment(|name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn via(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.for_url(&Url::parse(url).unwrap()).unwrap().map(|via| via.proxy.address.to_string())
    }

    #[test]
    fn the_usual_variables_say_which_proxy_stands_where() {
        let some = proxies(&[
            ("http_proxy", "http://u:p@proxy:3128"),
            ("HTTPS_PROXY", "proxy:3129"),
            ("no_proxy", "inside.example,127.0.0.1"),
        ]);
        assert_eq!(via(&some, "http://x/").as_deref(), Some("proxy:3128"));
        assert_eq!(via(&some, "https://x/").as_deref(), Some("proxy:3129"));
        assert_eq!(via(&some, "http://a.inside.example/"), None);
        assert_eq!(via(&some, "http://127.0.0.1:8080/"), None);
        let with_password = some.for_url(&Url::parse("http://x/").unwrap()).unwrap().unwrap();
        let proof = with_password.proof(&ProxyProofs::default()).unwrap().unwrap();
        let shown = proof.borrow_mut().show(Asked { method: "GET", target: "/", body: None }).unwrap();
        assert_eq!(shown.unwrap(), "Basic dTpw");
        assert_eq!(via(&proxies(&[("HTTP_PROXY", "http://proxy:1")]), "http://x/"), None);
        assert_eq!(via(&proxies(&[("all_proxy", "http://proxy")]), "https://x/").as_deref(), Some("proxy:1080"));
        assert_eq!(via(&proxies(&[("all_proxy", "http://proxy"), ("no_proxy", "*")]), "https://x/"), None);
        let socks = proxies(&[("all_proxy", "socks5h://u:p%40@proxy:1")]);
        let via = socks.for_url(&Url::parse("http://x/").unwrap()).unwrap().unwrap();
        assert!(matches!(via.proxy.kind, Kind::Socks5 { remote: true, login: Some(_) }));
        let old = proxies(&[("all_proxy", "socks://proxy:1")]);
        assert!(old.for_url(&Url::parse("http://x/").unwrap()).is_err());
        let chosen = Proxies::chosen("socks5://other", Some("inside".to_owned())).unwrap();
        assert_eq!(super::tests::via(&chosen, "https://x/").as_deref(), Some("other:1080"));
        assert_eq!(super::tests::via(&chosen, "https://inside/"), None);
        // What cannot be read goes nowhere, rather than there without a proxy.
        let odd = proxies(&[("all_proxy", "http://a b:1")]);
        assert!(odd.for_url(&Url::parse("http://x/").unwrap()).is_err());
        for (written, expected) in [
            ("8080", "8080"),
            ("proxy:80", "proxy:80"),
            ("http://[::1]", "[::1]:1080"),
            ("http://u:p@[::1]:81/", "[::1]:81"),
            ("HTTP://Proxy:3128/path", "proxy:3128"),
        ] {
            let chosen = Proxies::chosen(written, None).unwrap();
            assert_eq!(super::tests::via(&chosen, "https://x/").as_deref(), Some(expected), "{written}");
        }
        assert!(Proxies::chosen("ftp://x", None).is_err() && Proxies::chosen("", None).is_err());
    }
}
