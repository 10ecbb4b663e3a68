//! Digest authentication (RFC 7616): a proof that we know a password, which does not show it.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use http::HeaderValue;
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};

use super::{Body, FetchError, Head, Origin};
use crate::limits;
use crate::wire::http::{Challenge, percent_encoded};

/// What a server wants proven, and how often that was done.
#[derive(Clone)]
pub(super) struct Session {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    algorithm: Algorithm,
    /// As the server names it, if it does.
    named: Option<Vec<u8>>,
    /// Whether the password is mixed with both nonces once for all requests (`-sess`).
    is_session: bool,
    protection: Protection,
    /// Whether the user is shown as a digest only.
    hides_user: bool,
    /// Whether the user may be written by its bytes in UTF-8.
    is_utf8: bool,
    /// Ours, the same for all requests: the server may have mixed it with the password.
    cnonce: String,
    /// The server's nonce of the beginning, for the same reason.
    first_nonce: Vec<u8>,
    count: u32,
    /// Whether the server says that the proof before was right, and only too old.
    pub(super) is_stale: bool,
    /// Whether a proof was good.
    pub(super) is_accepted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512,
}

/// What is proven besides the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protection {
    /// That of RFC 2069, which counts nothing.
    Old,
    /// The request's method and target, and which request it is.
    Request,
    /// Its body too.
    Body,
}

/// User and password.
type Login = (Vec<u8>, Vec<u8>);

/// What was agreed on with servers about who asks (RFC 7616, section 3.6): the next proof needs no other challenge.
#[derive(Clone, Default)]
pub(super) struct DigestSessions(Rc<RefCell<Vec<(Origin, Login, Session)>>>);

impl DigestSessions {
    pub(super) fn get(&self, origin: &Origin, login: &Login) -> Option<Session> {
        let all = self.0.borrow();
        all.iter().find(|one| one.0 == *origin && one.1 == *login).map(|one| one.2.clone())
    }

    pub(super) fn put(&self, origin: &Origin, login: &Login, session: &Session) {
        let mut all = self.0.borrow_mut();
        all.retain(|one| one.0 != *origin || one.1 != *login);
        if all.len() == limits::DIGEST_SESSIONS {
            all.remove(0);
        }
        all.push((origin.clone(), login.clone(), session.clone()));
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) body: Option<&'a Body>,
}

impl Algorithm {
    /// RFC 7616, section 6.1, with whether it is one for a session.
    fn named(name: &[u8]) -> Option<(Self, bool)> {
        let name = name.trim_ascii().to_ascii_uppercase();
        let (base, is_session) = name.strip_suffix(b"-SESS").map_or((name.as_slice(), false), |base| (base, true));
        let algorithm = match base {
            b"MD5" => Self::Md5,
            b"SHA-256" => Self::Sha256,
            b"SHA-512-256" => Self::Sha512,
            _ => return None,
        };
        Some((algorithm, is_session))
    }

    /// The digest of some bytes with colons between them, as hex digits.
    fn of(self, parts: &[&[u8]]) -> String {
        self.of_all(parts.join(&b':').as_slice())
    }

    fn of_all(self, bytes: &[u8]) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(bytes)),
            Self::Sha256 => hex(&Sha256::digest(bytes)),
            Self::Sha512 => hex(&Sha512_256::digest(bytes)),
        }
    }

    fn of_body(self, body: &Body) -> Result<String, FetchError> {
        fn read<D: sha2::Digest>(body: &Body) -> Result<String, FetchError> {
            let mut digest = D::new();
            body.read(|bytes| digest.update(bytes))?;
            Ok(hex(&digest.finalize()))
        }
        match self {
            Self::Md5 => read::<Md5>(body),
            Self::Sha256 => read::<Sha256>(body),
            Self::Sha512 => read::<Sha512_256>(body),
        }
    }
}

impl Session {
    /// The first challenge of an answer that can be met: servers put first what they like best (RFC 7616, section 3.7).
    pub(super) fn of(head: &Head, field: &'static str) -> Option<Self> {
        let challenges = head.every(field).flat_map(Challenge::all_in);
        let mut digests = challenges.filter(|challenge| challenge.scheme == "digest");
        digests.find_map(|challenge| Self::begin(&challenge))
    }

    fn begin(challenge: &Challenge) -> Option<Self> {
        let nonce = challenge.parameter("nonce")?.to_vec();
        let named = challenge.parameter("algorithm").map(<[u8]>::to_vec);
        let (algorithm, is_session) = named.as_deref().map_or(Some((Algorithm::Md5, false)), Algorithm::named)?;
        let protections: Vec<&[u8]> = challenge
            .parameter("qop")
            .unwrap_or_default()
            .split(|&byte| byte == b',' || byte == b' ')
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty())
            .collect();
        let offers = |name: &str| protections.iter().any(|other| other.eq_ignore_ascii_case(name.as_bytes()));
        let protection = match () {
            () if protections.is_empty() => Protection::Old,
            () if offers("auth") => Protection::Request,
            () if offers("auth-int") => Protection::Body,
            () => return None,
        };
        Some(Self {
            realm: challenge.parameter("realm").unwrap_or_default().to_vec(),
            first_nonce: nonce.clone(),
            nonce,
            opaque: challenge.parameter("opaque").map(<[u8]>::to_vec),
            algorithm,
            named,
            is_session,
            protection,
            hides_user: challenge.says("userhash", "true"),
            is_utf8: challenge.says("charset", "utf-8"),
            cnonce: cnonce()?,
            count: 0,
            is_stale: challenge.says("stale", "true"),
            is_accepted: false,
        })
    }

    /// Takes the nonce that the server wants to hear the next time (RFC 7616, section 3.5).
    pub(super) fn hear(&mut self, head: &Head, field: &'static str) {
        let Some(info) = head.first(field) else { return };
        // It is written as the parameters of a challenge are.
        let challenges = Challenge::all_in(&[b"digest ", info].concat());
        if let Some(next) = challenges.first().and_then(|challenge| challenge.parameter("nextnonce"))
            && next != self.nonce
        {
            (self.nonce, self.count) = (next.to_vec(), 0);
        }
    }

    /// The field that proves one request; each is counted.
    pub(super) fn prove(
        &mut self,
        (user, password): (&[u8], &[u8]),
        asked: Asked<'_>,
    ) -> Result<HeaderValue, FetchError> {
        self.count += 1;
        let (algorithm, count) = (self.algorithm, format!("{:08x}", self.count));
        let mut secret = algorithm.of(&[user, &self.realm, password]);
        if self.is_session {
            secret = algorithm.of(&[secret.as_bytes(), &self.first_nonce, self.cnonce.as_bytes()]);
        }
        let (method, target) = (asked.method.as_bytes(), asked.target.as_bytes());
        let request = match (self.protection, asked.body) {
            (Protection::Body, Some(body)) => algorithm.of(&[method, target, algorithm.of_body(body)?.as_bytes()]),
            (Protection::Body, None) => algorithm.of(&[method, target, algorithm.of_all(b"").as_bytes()]),
            _ => algorithm.of(&[method, target]),
        };
        let protection: &[u8] = match self.protection {
            Protection::Old => b"",
            Protection::Request => b"auth",
            Protection::Body => b"auth-int",
        };
        let (cnonce, request) = (self.cnonce.as_bytes(), request.as_bytes());
        let response = match self.protection {
            Protection::Old => algorithm.of(&[secret.as_bytes(), &self.nonce, request]),
            _ => algorithm.of(&[secret.as_bytes(), &self.nonce, count.as_bytes(), cnonce, protection, request]),
        };
        self.field(user, target, (count.as_bytes(), protection), response.as_bytes())
    }

    /// The proof as it is written.
    fn field(
        &self,
        user: &[u8],
        target: &[u8],
        (count, protection): (&[u8], &[u8]),
        response: &[u8],
    ) -> Result<HeaderValue, FetchError> {
        let mut field = b"Digest ".to_vec();
        if self.hides_user {
            let hidden = self.algorithm.of(&[user, &self.realm]);
            push(&mut field, "username", &quoted(hidden.as_bytes()));
        } else if self.is_utf8 && !user.is_ascii() {
            // RFC 8187, which RFC 7616 has for names beyond ASCII.
            push(&mut field, "username*", format!("UTF-8''{}", percent_encoded(user)).as_bytes());
        } else {
            push(&mut field, "username", &quoted(user));
        }
        push(&mut field, "realm", &quoted(&self.realm));
        push(&mut field, "nonce", &quoted(&self.nonce));
        push(&mut field, "uri", &quoted(target));
        if self.protection != Protection::Old || self.is_session {
            push(&mut field, "cnonce", &quoted(self.cnonce.as_bytes()));
        }
        if self.protection != Protection::Old {
            push(&mut field, "nc", count);
            push(&mut field, "qop", protection);
        }
        push(&mut field, "response", &quoted(response));
        if let Some(opaque) = &self.opaque {
            push(&mut field, "opaque", &quoted(opaque));
        }
        if let Some(named) = &self.named {
            push(&mut field, "algorithm", named);
        }
        if self.hides_user {
            push(&mut field, "userhash", b"true");
        }
        let wrong = |_| FetchError::Protocol("the server's challenge has a control character".to_owned());
        let mut value = HeaderValue::from_bytes(&field).map_err(wrong)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn push(field: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !field.ends_with(b" ") {
        field.extend_from_slice(b", ");
    }
    field.extend_from_slice(name.as_bytes());
    field.push(b'=');
    field.extend_from_slice(value);
}

fn quoted(value: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Something that no server can foresee.
fn cnonce() -> Option<String> {
    let mut bytes = [0; 16];
    rustls::crypto::aws_lc_rs::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(challenge: &str) -> Option<Session> {
        let head = format!("HTTP/1.1 401 x\r\nWWW-Authenticate: {challenge}\r\n\r\n");
        Session::of(&Head::parse(head.as_bytes()).unwrap(), "www-authenticate")
    }

    fn proof(challenge: &str, cnonce: &str, login: (&str, &str), asked: Asked<'_>) -> String {
        let mut session = session(challenge).unwrap();
        cnonce.clone_into(&mut session.cnonce);
        let field = session.prove((login.0.as_bytes(), login.1.as_bytes()), asked).unwrap();
        String::from_utf8(field.as_bytes().to_vec()).unwrap()
    }

    /// RFC 7616, sections 3.9.1 and 3.9.2, and RFC 2069 as its erratum has it.
    #[test]
    fn the_examples_of_the_rfcs_come_out() {
        let asked = Asked { method: "GET", target: "/dir/index.html", body: None };
        let login = ("Mufasa", "Circle of Life");
        let base = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
            nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
            opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let sha = proof(&format!("{base}, algorithm=SHA-256"), cnonce, login, asked);
        assert!(sha.contains("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""), "{sha}");
        let md5 = proof(&format!("{base}, algorithm=MD5"), cnonce, login, asked);
        assert!(md5.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{md5}");
        assert!(md5.contains(", nc=00000001, qop=auth, ") && md5.contains(", algorithm=MD5"), "{md5}");
        let old = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let old = proof(old, "", ("Mufasa", "CircleOfLife"), asked);
        assert!(old.contains("response=\"1949323746fe6a43ef61f9606e7febea\"") && !old.contains("qop"), "{old}");
        let hidden = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
            nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
            opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true";
        let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm";
        let asked = Asked { target: "/doe.json", ..asked };
        let hidden = proof(hidden, cnonce, ("J\u{e4}s\u{f8}n Doe", "Secret, or not?"), asked);
        assert!(hidden.contains("userhash=true") && !hidden.contains("username*"), "{hidden}");
        let user = hidden.split("username=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(user, Algorithm::Sha512.of(&["J\u{e4}s\u{f8}n Doe".as_bytes(), b"api@example.org"]));
    }

    #[test]
    fn only_what_is_understood_is_met() {
        for challenge in [
            "Basic realm=x",
            "Digest realm=x",
            "Digest realm=x, nonce=n, algorithm=SHA-1024",
            "Digest realm=x, nonce=n, qop=\"auth-conf\"",
            "Digest realm=x, nonce=n, algorithm=token",
        ] {
            assert!(session(challenge).is_none(), "{challenge}");
        }
        let both = "Digest realm=a, nonce=n, algorithm=SHA-1024, Digest realm=b, nonce=n, algorithm=sha-256-SESS, qop=auth-int";
        let found = session(both).unwrap();
        assert_eq!((found.algorithm, found.is_session, found.protection), (Algorithm::Sha256, true, Protection::Body));
        assert_eq!(found.realm, b"b");
    }

    #[test]
    fn names_beyond_ascii_and_quotes_are_written_as_they_must_be() {
        let asked = Asked { method: "GET", target: "/", body: None };
        let shown = |challenge: &str, user: &str| proof(challenge, "c", (user, "p"), asked);
        let utf8 = shown("Digest realm=\"a \\\"b\\\"\", nonce=n, charset=UTF-8", "\u{e4}'\"");
        assert!(utf8.starts_with("Digest username*=UTF-8''%C3%A4%27%22, realm=\"a \\\"b\\\"\", "), "{utf8}");
        let plain = shown("Digest realm=a, nonce=n", "\u{e4}\"");
        assert!(plain.starts_with("Digest username=\"\u{e4}\\\"\", "), "{plain}");
    }
}
