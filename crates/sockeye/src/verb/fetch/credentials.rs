//! The fields of a request, and which of them another origin gets to see: none that could prove who we are.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, Entry, HOST, HeaderMap, HeaderName,
    HeaderValue, RANGE, TRANSFER_ENCODING, USER_AGENT,
};

use super::cookies::Cookies;
use super::{Body, FetchError, Request, Url};
use crate::wire::http::{Coding, is_packed, percent_decoded};

/// Fields that say what is wanted, not who wants it. Any other may be a secret: `X-Api-Key` is one to its server.
const HARMLESS: [&str; 14] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-language",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "pragma",
    "range",
    "user-agent",
    "dnt",
];

/// Who asks. It shows itself without its secret.
#[derive(Clone)]
pub enum Credentials {
    /// User and password (RFC 7617).
    Basic(String, String),
    /// A token (RFC 6750).
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic(user, _) => f.debug_tuple("Basic").field(user).finish_non_exhaustive(),
            Self::Bearer(_) => f.debug_tuple("Bearer").finish_non_exhaustive(),
        }
    }
}

impl Credentials {
    fn field(&self) -> Result<HeaderValue, FetchError> {
        match self {
            Self::Basic(user, password) => basic(user.as_bytes(), password.as_bytes()),
            Self::Bearer(token) => bearer(token),
        }
    }
}

/// What the caller wants to send.
pub(super) struct Fields {
    own: Vec<(HeaderName, Option<HeaderValue>)>,
    authorization: Option<HeaderValue>,
}

impl Fields {
    pub(super) fn of(request: &Request) -> Result<Self, FetchError> {
        let mut own = Vec::new();
        for (name, value) in &request.fields {
            own.push(field(name, value)?);
        }
        let of_url = request.url.credentials.as_ref().map(|(user, password)| basic(user, password));
        let authorization = request.credentials.as_ref().map(Credentials::field).or(of_url).transpose()?;
        Ok(Self { own, authorization })
    }

    /// Takes out what must not be shown to another origin; the names of what was.
    pub(super) fn leave(&mut self, cookies: &mut Cookies) -> Vec<String> {
        let mut dropped = Vec::new();
        self.own.retain(|(name, _)| {
            let keep = HARMLESS.contains(&name.as_str());
            if !keep {
                dropped.push(name.to_string());
            }
            keep
        });
        if self.authorization.take().is_some() && !dropped.iter().any(|name| name == AUTHORIZATION.as_str()) {
            dropped.push(AUTHORIZATION.to_string());
        }
        if cookies.leave() && !dropped.iter().any(|name| name == COOKIE.as_str()) {
            dropped.push(COOKIE.to_string());
        }
        dropped
    }

    /// The body is not sent any more, and nothing is said about it.
    pub(super) fn forget_body(&mut self) {
        self.own.retain(|(name, _)| !name.as_str().starts_with("content-"));
    }

    /// Whether the caller asks for a part in words of their own.
    pub(super) fn ask_for_a_part(&self) -> bool {
        self.own.iter().any(|(name, value)| name == RANGE && value.is_some())
    }

    /// Everything that goes to a URL.
    pub(super) fn to_send(&self, url: &Url, body: Option<&Body>, cookies: &Cookies) -> Result<HeaderMap, String> {
        let mut map = HeaderMap::new();
        let host = HeaderValue::try_from(url.origin.authority()).map_err(|error| error.to_string())?;
        map.insert(HOST, host);
        map.insert(USER_AGENT, HeaderValue::from_static(concat!("sockeye/", env!("CARGO_PKG_VERSION"))));
        map.insert(ACCEPT, HeaderValue::from_static("*/*"));
        // What is packed already gets no smaller, and nobody has to find out which layer is whose.
        let is_packed = is_packed(&String::from_utf8_lossy(&percent_decoded(url.last_segment())));
        let accepted = if is_packed { "identity" } else { Coding::ACCEPTED };
        map.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        if let Some(body) = body {
            let content_type = HeaderValue::try_from(&body.content_type).map_err(|error| error.to_string())?;
            map.insert(CONTENT_TYPE, content_type);
        }
        if let Some(authorization) = &self.authorization {
            map.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(cookies) = cookies.to_send(url, SystemTime::now()) {
            map.insert(COOKIE, cookies);
        }
        // The first of a name takes the place of ours, the others are added to it.
        let mut seen: Vec<&HeaderName> = Vec::new();
        for (name, value) in &self.own {
            match (value, seen.contains(&name)) {
                (None, _) => drop(map.remove(name)),
                (Some(value), false) => drop(map.insert(name, value.clone())),
                (Some(value), true) => match map.entry(name) {
                    Entry::Occupied(mut there) => there.append(value.clone()),
                    Entry::Vacant(free) => drop(free.insert(value.clone())),
                },
            }
            seen.push(name);
        }
        Ok(map)
    }
}

fn field(name: &str, value: &str) -> Result<(HeaderName, Option<HeaderValue>), FetchError> {
    let wrong = |why: String| FetchError::Request(why);
    let parsed = HeaderName::try_from(name).map_err(|_| wrong(format!("`{name}` cannot be the name of a field")))?;
    if parsed == CONTENT_LENGTH || parsed == TRANSFER_ENCODING {
        return Err(wrong(format!("{name} follows from what is sent and cannot be chosen")));
    }
    if value.is_empty() {
        return Ok((parsed, None));
    }
    // Not its value in the message: it may be a secret.
    let value = HeaderValue::try_from(value)
        .map_err(|_| wrong(format!("the value of {name} has a control character, which no field may have")))?;
    Ok((parsed, Some(value)))
}

/// Basic authentication (RFC 7617).
pub(super) fn basic(user: &[u8], password: &[u8]) -> Result<HeaderValue, FetchError> {
    let wrong = || FetchError::Request("a user name cannot hold a colon".to_owned());
    if user.contains(&b':') {
        return Err(wrong());
    }
    let both = [user, b":", password].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(both))).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok(value)
}

/// A token (RFC 6750, section 2.1).
fn bearer(token: &str) -> Result<HeaderValue, FetchError> {
    let wrong = || FetchError::Request("a bearer token has letters, digits and -._~+/= only".to_owned());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(fits) {
        return Err(wrong());
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> Request {
        Request {
            url: Url::parse("http://me:secret@h/").unwrap(),
            method: "GET".to_owned(),
            fields: fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: None,
            credentials: None,
            cookies: vec![],
            jar: None,
            range: None,
        }
    }

    fn sent(fields: &Fields) -> Vec<String> {
        let map = fields.to_send(&Url::parse("http://h:81/").unwrap(), None, &Cookies::default()).unwrap();
        map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    /// Row 43 of the faults.
    #[test]
    fn another_origin_sees_nothing_that_could_be_a_secret() {
        let mut fields = Fields::of(&request(&[
            ("X-Api-Key", "k"),
            ("Cookie", "c"),
            ("Accept-Language", "de"),
            ("Authorization", "Bearer t"),
        ]))
        .unwrap();
        let before = sent(&fields);
        for expected in ["x-api-key: k", "cookie: c", "accept-language: de", "authorization: Bearer t", "host: h:81"] {
            assert!(before.iter().any(|line| line == expected), "{before:?}");
        }
        assert_eq!(fields.leave(&mut Cookies::default()), ["x-api-key", "cookie", "authorization"]);
        let after = sent(&fields);
        assert!(after.iter().any(|line| line == "accept-language: de"), "{after:?}");
        for secret in ["x-api-key", "cookie", "authorization"] {
            assert!(!after.iter().any(|line| line.starts_with(secret)), "{after:?}");
        }
        let mut fields = Fields::of(&request(&[])).unwrap();
        assert!(sent(&fields).contains(&"authorization: Basic bWU6c2VjcmV0".to_owned()));
        assert_eq!(fields.leave(&mut Cookies::default()), ["authorization"]);
    }

    #[test]
    fn own_fields_replace_ours_add_up_and_take_away() {
        let fields =
            Fields::of(&request(&[("accept", "a"), ("Accept", "b"), ("User-Agent", ""), ("Host", "x")])).unwrap();
        let sent = sent(&fields);
        assert!(sent.contains(&"accept: a".to_owned()) && sent.contains(&"accept: b".to_owned()), "{sent:?}");
        assert!(sent.contains(&"host: x".to_owned()) && !sent.iter().any(|line| line.starts_with("user-agent")));
        for (name, value) in [("a b", "x"), ("", "x"), ("x", "a\r\nb: c"), ("x", "\0"), ("Content-Length", "5")] {
            assert!(Fields::of(&request(&[(name, value)])).is_err(), "{name:?}");
        }
    }
}
