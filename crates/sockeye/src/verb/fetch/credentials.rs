//! The fields of a request, and which of them another origin gets to see: none that could prove who we are.

use std::cell::RefCell;
use std::fmt;
use std::time::SystemTime;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, Entry, HOST, HeaderMap, HeaderName,
    HeaderValue, RANGE, TRANSFER_ENCODING, USER_AGENT,
};

use super::cookies::Cookies;
use super::digest::{Asked, DigestSessions};
use super::proof::{Asker, Proof, Shows};
use super::{Body, FetchError, Head, Origin, Request, Url};
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
    /// User and password, which only a proof of knowing it is made from (RFC 7616): the server sees no password.
    Digest(Vec<u8>, Vec<u8>),
    /// A token (RFC 6750).
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic(user, _) => f.debug_tuple("Basic").field(user).finish_non_exhaustive(),
            Self::Digest(user, _) => {
                f.debug_tuple("Digest").field(&String::from_utf8_lossy(user)).finish_non_exhaustive()
            }
            Self::Bearer(_) => f.debug_tuple("Bearer").finish_non_exhaustive(),
        }
    }
}

/// What the caller wants to send.
pub(super) struct Fields {
    own: Vec<(HeaderName, Option<HeaderValue>)>,
    proof: Option<RefCell<Proof>>,
}

impl Fields {
    pub(super) fn of(request: &Request, sessions: &DigestSessions) -> Result<Self, FetchError> {
        let mut own = Vec::new();
        for (name, value) in &request.fields {
            own.push(field(name, value)?);
        }
        let mut proof = match (&request.credentials, &request.url.credentials) {
            (Some(given), _) => Some(proof_of(given)?),
            (None, Some((user, password))) => Some(Proof::of_login(user, password, Shows::Password)?),
            (None, None) => None,
        };
        if let Some(proof) = &mut proof {
            proof.go_on_with(sessions, &request.url.origin);
        }
        Ok(Self { own, proof: proof.map(RefCell::new) })
    }

    /// Whether a challenge is to be waited for before the body is sent: it would have to be sent twice.
    pub(super) fn keep_back_bodies(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.borrow().waits())
            && !self.own.iter().any(|(name, _)| name == AUTHORIZATION)
    }

    /// Whether an answer asks for a proof that can be given and was not yet; what was kept back may then be sent.
    pub(super) fn are_challenged(&self, head: &Head, was_kept_back: bool) -> bool {
        let Some(proof) = &self.proof else { return false };
        // A field of the caller's own is what the caller wants to be judged by.
        let is_ours = !self.own.iter().any(|(name, _)| name == AUTHORIZATION);
        proof.borrow_mut().is_challenged(head, Asker::Server, was_kept_back) && is_ours
    }

    /// What was agreed on with a server, for what is asked of it next.
    pub(super) fn keep_session(&self, origin: &Origin, sessions: &DigestSessions) {
        if let Some(proof) = &self.proof {
            proof.borrow().keep(sessions, origin);
        }
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
        if self.proof.take().is_some() && !dropped.iter().any(|name| name == AUTHORIZATION.as_str()) {
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

    /// Whether the caller says, or takes away, a field.
    pub(super) fn speak_of(&self, name: &HeaderName) -> bool {
        self.own.iter().any(|(other, _)| other == name)
    }

    /// Everything that goes to a URL.
    pub(super) fn to_send(
        &self,
        url: &Url,
        (method, body): (&str, Option<&Body>),
        cookies: &Cookies,
    ) -> Result<HeaderMap, FetchError> {
        let wrong = |why: &dyn fmt::Display| FetchError::Request(format!("the request cannot be sent: {why}"));
        let mut map = HeaderMap::new();
        let host = HeaderValue::try_from(url.origin.authority()).map_err(|error| wrong(&error))?;
        map.insert(HOST, host);
        map.insert(USER_AGENT, HeaderValue::from_static(concat!("sockeye/", env!("CARGO_PKG_VERSION"))));
        map.insert(ACCEPT, HeaderValue::from_static("*/*"));
        // What is packed already gets no smaller, and the client does not have to find out which layer is whose.
        let is_packed = is_packed(&String::from_utf8_lossy(&percent_decoded(url.last_segment())));
        let accepted = if is_packed { "identity" } else { Coding::ACCEPTED };
        map.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        if let Some(body) = body.filter(|body| !body.content_type.is_empty()) {
            let content_type = HeaderValue::try_from(&body.content_type).map_err(|error| wrong(&error))?;
            map.insert(CONTENT_TYPE, content_type);
        }
        if let Some(proof) = &self.proof
            && let Some(authorization) = proof.borrow_mut().show(Asked { method, target: &url.target, body })?
        {
            map.insert(AUTHORIZATION, authorization);
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

fn proof_of(credentials: &Credentials) -> Result<Proof, FetchError> {
    match credentials {
        Credentials::Basic(user, password) => Proof::of_login(user.as_bytes(), password.as_bytes(), Shows::Password),
        Credentials::Digest(user, password) => Proof::of_login(user, password, Shows::Proof),
        Credentials::Bearer(token) => Proof::of_token(token),
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

    fn fields_of(request: &Request) -> Result<Fields, FetchError> {
        Fields::of(request, &DigestSessions::default())
    }

    fn sent(fields: &Fields) -> Vec<String> {
        let map = fields.to_send(&Url::parse("http://h:81/").unwrap(), ("GET", None), &Cookies::default()).unwrap();
        map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    /// Row 43 of the faults.
    #[test]
    fn another_origin_sees_nothing_that_could_be_a_secret() {
        let mut fields = fields_of(&request(&[
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
        let mut fields = fields_of(&request(&[])).unwrap();
        assert!(sent(&fields).contains(&"authorization: Basic bWU6c2VjcmV0".to_owned()));
        assert_eq!(fields.leave(&mut Cookies::default()), ["authorization"]);
    }

    #[test]
    fn own_fields_replace_ours_add_up_and_take_away() {
        let fields =
            fields_of(&request(&[("accept", "a"), ("Accept", "b"), ("User-Agent", ""), ("Host", "x")])).unwrap();
        let sent = sent(&fields);
        assert!(sent.contains(&"accept: a".to_owned()) && sent.contains(&"accept: b".to_owned()), "{sent:?}");
        assert!(sent.contains(&"host: x".to_owned()) && !sent.iter().any(|line| line.starts_with("user-agent")));
        for (name, value) in [("a b", "x"), ("", "x"), ("x", "a\r\nb: c"), ("x", "\0"), ("Content-Length", "5")] {
            assert!(fields_of(&request(&[(name, value)])).is_err(), "{name:?}");
        }
    }
}
