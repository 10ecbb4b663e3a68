//! Proxies from the usual environment variables: which, for whom, and the tunnel through one (RFC 9110, section 9.3.6).

use hyper_util::client::proxy::matcher::Matcher;

use super::exchange::{Exchange, Patience};
use super::kept::Connection;
use super::outgoing::Sending;
use super::{FetchError, Url, UrlScheme};
use crate::address::Address;
use crate::net::stream::Stream;

/// Which proxies stand between us and which hosts.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Option<std::sync::Arc<Matcher>>);

/// A proxy to go through.
pub(super) struct Via {
    pub(super) address: Address,
    pub(super) kind: Kind,
}

/// How it is spoken to.
pub(super) enum Kind {
    /// By HTTP, with what says who asks.
    Http(Option<http::HeaderValue>),
    /// By SOCKS 5; `remote` where it looks names up itself.
    Socks { remote: bool, login: Option<(String, String)> },
}

impl Proxies {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// As `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say, in small letters or capitals, small ones first.
    /// `HTTP_PROXY` in capitals is not looked at: whoever asks a CGI program can set it (CVE-2016-5385).
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            let set = |name: &str| variable(name).filter(|value| !value.is_empty());
            set(name).or_else(|| if name == "http_proxy" { None } else { set(&name.to_ascii_uppercase()) })
        };
        let [http, https, all] = ["http_proxy", "https_proxy", "all_proxy"].map(value);
        if http.is_none() && https.is_none() && all.is_none() {
            return Self::none();
        }
        let matcher = Matcher::builder()
            .http(http.unwrap_or_default())
            .https(https.unwrap_or_default())
            .all(all.unwrap_or_default())
            .no(value("no_proxy").unwrap_or_default());
        Self(Some(std::sync::Arc::new(matcher.build())))
    }

    /// This one for everything that `no_proxy` does not name.
    ///
    /// # Errors
    /// It is none, or is spoken to in another way.
    pub fn chosen(url: &str, no_proxy: Option<String>) -> Result<Self, FetchError> {
        let matcher = Matcher::builder().all(url).no(no_proxy.unwrap_or_default()).build();
        let chosen = Self(Some(std::sync::Arc::new(matcher)));
        let any = Matcher::builder().all(url).build();
        let any = Self(Some(std::sync::Arc::new(any)));
        // What the matcher cannot read it leaves out, and we would go there without a proxy.
        let somewhere = Url::parse("http://example.org/")?;
        match any.for_url(&somewhere)? {
            Some(_) => Ok(chosen),
            None => Err(FetchError::Request("the proxy is no URL such as http://HOST:PORT".to_owned())),
        }
    }

    /// The proxy for a URL, if it is to go through one.
    pub(super) fn for_url(&self, url: &Url) -> Result<Option<Via>, FetchError> {
        let Some(matcher) = &self.0 else { return Ok(None) };
        let place = format!("{}://{}/", url.origin.scheme.name(), url.origin.authority());
        // Who is behind a proxy does not want to be seen without it, whatever we cannot read.
        let place = place.parse().map_err(|error: http::uri::InvalidUri| {
            FetchError::Request(format!("no proxy can be chosen for {place}: {error}"))
        })?;
        let Some(found) = matcher.intercept(&place) else { return Ok(None) };
        let scheme = found.uri().scheme_str().unwrap_or("http");
        let kind = match scheme {
            "http" => Kind::Http(found.basic_auth().cloned()),
            "socks5" | "socks5h" => {
                let login = found.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()));
                Kind::Socks { remote: scheme == "socks5h", login }
            }
            other => {
                let why = format!("a proxy is spoken to by http, socks5 or socks5h, and not by {other}");
                return Err(FetchError::Request(why));
            }
        };
        let authority = found.uri().authority().map(ToString::to_string).unwrap_or_default();
        let proxy = Url::parse(&format!("http://{authority}"))
            .map_err(|error| FetchError::Request(format!("the proxy {error}")))?;
        // Without a port it is the one that proxies have by habit (curl(1), --proxy).
        let has_port = found.uri().port().is_some();
        let mut origin = proxy.origin;
        if !has_port {
            origin.port = 1080;
        }
        let mut address = origin.address();
        address.scheme = None;
        Ok(Some(Via { address, kind }))
    }
}

/// Asks a proxy for a tunnel to the URL's host; the stream behind it belongs to the two ends.
pub(super) fn tunnel(stream: Stream, url: &Url, via: &Via, patience: Patience) -> Result<Stream, FetchError> {
    let place = format!("{}:{}", url.origin.host_name(true), url.origin.port);
    let mut request = http::Request::builder()
        .method(http::Method::CONNECT)
        .uri(&place)
        .header(http::header::HOST, &place)
        .header(http::header::USER_AGENT, concat!("sockeye/", env!("CARGO_PKG_VERSION")));
    if let Kind::Http(Some(authorization)) = &via.kind {
        request = request.header(http::header::PROXY_AUTHORIZATION, authorization);
    }
    debug_assert_eq!(url.origin.scheme, UrlScheme::Https);
    let request = request.body(Sending::default()).map_err(|error| FetchError::Request(error.to_string()))?;
    let exchange = Exchange::begin(Connection::Stream(Box::new(stream)), request, patience)?;
    if !(200..300).contains(&exchange.head.status) {
        return Err(FetchError::Proxy(exchange.head.status_line()));
    }
    match exchange.into_stream() {
        Some((stream, behind)) if behind.is_empty() => Ok(stream),
        // The server does not speak first in TLS, so somebody else put them there.
        _ => Err(FetchError::Protocol("the proxy sent bytes of its own into the tunnel".to_owned())),
    }
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
        proxies.for_url(&Url::parse(url).unwrap()).unwrap().map(|via| via.address.to_string())
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
        let Kind::Http(Some(authorization)) = with_password.kind else { panic!("it has a password") };
        assert_eq!(authorization, "Basic dTpw");
        assert_eq!(via(&proxies(&[("HTTP_PROXY", "http://proxy:1")]), "http://x/"), None);
        assert_eq!(via(&proxies(&[("all_proxy", "http://proxy")]), "https://x/").as_deref(), Some("proxy:1080"));
        assert_eq!(via(&proxies(&[("all_proxy", "http://proxy"), ("no_proxy", "*")]), "https://x/"), None);
        let socks = proxies(&[("all_proxy", "socks5h://u:p%40@proxy:1")]);
        let via = socks.for_url(&Url::parse("http://x/").unwrap()).unwrap().unwrap();
        let Kind::Socks { remote: true, login: Some(login) } = via.kind else { panic!("it is one of SOCKS") };
        assert_eq!(login, ("u".to_owned(), "p@".to_owned()));
        let old = proxies(&[("all_proxy", "socks4://proxy:1")]);
        assert!(old.for_url(&Url::parse("http://x/").unwrap()).is_err());
        let chosen = Proxies::chosen("socks5://other", Some("inside".to_owned())).unwrap();
        assert_eq!(super::tests::via(&chosen, "https://x/").as_deref(), Some("other:1080"));
        assert_eq!(super::tests::via(&chosen, "https://inside/"), None);
        // What cannot be read goes nowhere, rather than there without a proxy.
        let mut odd = Url::parse("http://x/").unwrap();
        odd.origin.host = crate::address::Host::Name("a b".to_owned());
        assert!(some.for_url(&odd).is_err() && Proxies::none().for_url(&odd).unwrap().is_none());
        assert!(Proxies::chosen("ftp://x", None).is_err() && Proxies::chosen("", None).is_err());
    }
}
