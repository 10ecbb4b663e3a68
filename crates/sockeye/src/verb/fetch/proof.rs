//! How a server or a proxy is told who asks: at once, or by a proof that it asks for first.

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::digest::{Asked, DigestSessions, Session};
use super::{FetchError, Head, Origin};
use crate::limits;
use crate::wire::http::Challenge;

/// Who wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    Server,
    Proxy,
}

impl Asker {
    fn status(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    /// The field with its challenges.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Server => "www-authenticate",
            Self::Proxy => "proxy-authenticate",
        }
    }

    /// The field with what it says behind a proof that was good.
    fn info(self) -> &'static str {
        match self {
            Self::Server => "authentication-info",
            Self::Proxy => "proxy-authentication-info",
        }
    }
}

/// Whether a password may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Password,
    /// Only that it is known (RFC 7616), if the server asks for that.
    Proof,
}

/// User and password, and whether that may be shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
    pub(super) shows: Shows,
}

/// What proxies were told, by where they are, for what goes through them next.
#[derive(Clone, Default)]
pub(super) struct ProxyProofs(Rc<RefCell<Vec<(String, Login, SharedProof)>>>);

/// It counts what it proves, whatever goes through.
pub(super) type SharedProof = Rc<RefCell<Proof>>;

impl ProxyProofs {
    pub(super) fn of(&self, place: &str, login: &Login) -> Result<SharedProof, FetchError> {
        let mut all = self.0.borrow_mut();
        if let Some((.., proof)) = all.iter().find(|(other, who, _)| other == place && who == login) {
            return Ok(Rc::clone(proof));
        }
        let proof = Rc::new(RefCell::new(Proof::of_login(&login.user, &login.password, login.shows)?));
        all.push((place.to_owned(), login.clone(), Rc::clone(&proof)));
        Ok(proof)
    }
}

/// How one of them is told.
pub(super) struct Proof {
    /// What is said each time, unless a challenge was met.
    field: Option<HeaderValue>,
    /// The user and password that a Digest challenge asks for.
    login: Option<(Vec<u8>, Vec<u8>)>,
    session: Option<Session>,
    /// How often the session's proof was sent without another answer than that it is not good.
    tries: u32,
    /// Whether it was seen that no proof is wanted before the body.
    is_unasked: bool,
}

impl Proof {
    pub(super) fn of_token(token: &str) -> Result<Self, FetchError> {
        Ok(Self { field: Some(bearer(token)?), login: None, session: None, tries: 0, is_unasked: false })
    }

    pub(super) fn of_login(user: &[u8], password: &[u8], shows: Shows) -> Result<Self, FetchError> {
        let field = match shows {
            Shows::Password => Some(basic(user, password)?),
            Shows::Proof => None,
        };
        Ok(Self { field, login: Some((user.to_vec(), password.to_vec())), session: None, tries: 0, is_unasked: false })
    }

    /// Whether a challenge is to be waited for before a body is sent: it would have to be sent twice.
    pub(super) fn waits(&self) -> bool {
        self.field.is_none() && self.session.is_none() && !self.is_unasked
    }

    /// What says who asks.
    pub(super) fn show(&mut self, asked: Asked<'_>) -> Result<Option<HeaderValue>, FetchError> {
        match (&mut self.session, &self.login) {
            (Some(session), Some((user, password))) => {
                self.tries += 1;
                session.prove((user, password), asked).map(Some)
            }
            _ => Ok(self.field.clone()),
        }
    }

    /// Whether an answer asks for a proof that can be given and was not yet; what was kept back may then be sent.
    pub(super) fn is_challenged(&mut self, head: &Head, asker: Asker, was_kept_back: bool) -> bool {
        if head.status != asker.status() {
            self.tries = 0;
            self.is_unasked |= was_kept_back;
            if let Some(session) = &mut self.session {
                session.is_accepted = true;
                session.hear(head, asker.info());
            }
            return false;
        }
        if self.login.is_none() {
            return false;
        }
        // Who was told the password and did not like it has said so.
        let mut all = head.every(asker.field()).flat_map(Challenge::all_in);
        if self.field.is_some() && self.session.is_none() && all.any(|challenge| challenge.scheme == "basic") {
            return false;
        }
        let Some(session) = Session::of(head, asker.field()) else { return false };
        // A nonce that was good may have become too old, and not every server says so.
        let may_be_met = self.tries == 0
            || self.session.as_ref().is_some_and(|session| session.is_accepted)
            || (session.is_stale && self.tries < limits::STALE_PROOFS);
        if may_be_met {
            self.session = Some(session);
        }
        may_be_met
    }

    /// Goes on with what was agreed on with a server before.
    pub(super) fn go_on_with(&mut self, sessions: &DigestSessions, origin: &Origin) {
        if let Some(login) = &self.login {
            self.session = sessions.get(origin, login);
        }
    }

    /// Keeps what was agreed on for what is asked of a server next.
    pub(super) fn keep(&self, sessions: &DigestSessions, origin: &Origin) {
        if let Self { login: Some(login), session: Some(session), tries: 0, .. } = self {
            sessions.put(origin, login, session);
        }
    }
}

/// Basic authentication (RFC 7617).
fn basic(user: &[u8], password: &[u8]) -> Result<HeaderValue, FetchError> {
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
