//! What a site does beyond sending files, all of it off or harmless unless asked for.

use std::net::IpAddr;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fields::Value;
use super::request::{Request, Version};
use super::root::Links;
use crate::limits;
use crate::sys::hostname::hostname;

/// How a site behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether names that begin with a dot are served and listed.
    pub hidden: Hidden,
    /// How far links are followed.
    pub links: Links,
    /// What is sent for a folder that has no `index.html`.
    pub folders: Folders,
    /// Whether pages of other origins may read what is here (Access-Control-Allow-Origin).
    pub sharing: Sharing,
    /// A file, by its way from the root, that is sent in place of a page that is not there: single-page applications
    /// make their pages up in the browser.
    pub fallback: Option<Vec<u8>>,
    /// Who may come in at all.
    pub account: Option<Account>,
    /// Under which names this site is known.
    pub hosts: Hosts,
    /// The largest file that may be stored by PUT; nothing: no file may.
    pub upload: Option<u64>,
    /// Whether text is packed for who takes it so.
    pub packing: Packing,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hidden: Hidden::Kept,
            links: Links::Inside,
            folders: Folders::Listed,
            sharing: Sharing::SameOrigin,
            fallback: None,
            account: None,
            hosts: Hosts::Local(vec![]),
            upload: None,
            packing: Packing::Text,
        }
    }
}

impl Options {
    /// Storing by PUT, up to the usual size.
    #[must_use]
    pub fn with_upload(self) -> Self {
        Self { upload: Some(limits::UPLOAD), ..self }
    }
}

/// Names that begin with a dot: `.git`, `.env`, `.ssh`. It is the name that was asked for which counts: who lays a link to
/// such a file, inside the folder and under another name, means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// They are not there.
    Kept,
    /// They are files like others.
    Shown,
}

/// Folders without an `index.html`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folders {
    /// A page shows what is in them.
    Listed,
    /// They are not there.
    Kept,
}

/// Other origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Browsers show this site to its own pages alone.
    SameOrigin,
    /// Any page may read it. None may store anything: that stays for who is not a browser.
    Everyone,
}

/// Packing on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Every file as it is.
    None,
    /// Text of [`limits::PACKED`] bytes goes as brotli or gzip to who takes it.
    Text,
}

/// The names in Host that are answered. A page of another site can have its own name lead here (DNS rebinding) and then
/// read what it likes, but it cannot have a browser say another name than its own. The public DNS has no names without a
/// dot, and none below `localhost` (RFC 6761), `local` (RFC 6762) and `internal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Whatever is asked for.
    Any,
    /// Addresses written as numbers, names that nobody can have lead here from elsewhere, this machine's own, and these.
    Local(Vec<String>),
}

impl Hosts {
    /// Whether a request is for us. One of HTTP/1.0 without Host comes from no browser.
    #[must_use]
    pub fn accept(&self, request: &Request<'_>) -> bool {
        let Self::Local(names) = self else { return true };
        if request.authority.is_none() {
            return request.version == Version::Http10;
        }
        let host = request.host();
        !host.contains('.')
            || ["localhost", "local", "internal"].iter().any(|domain| is_below(host, domain))
            || host.parse::<IpAddr>().is_ok()
            || OWN.as_deref().is_some_and(|own| host.eq_ignore_ascii_case(own))
            || names.iter().any(|name| host.eq_ignore_ascii_case(name.trim_end_matches('.')))
    }
}

/// The name of this machine.
static OWN: LazyLock<Option<String>> = LazyLock::new(hostname);

/// Whether a name ends with a dot and this domain. A comparison of its own, so that the usual answer allocates nothing.
fn is_below(host: &str, domain: &str) -> bool {
    let end = host.len().checked_sub(domain.len()).and_then(|at| host.split_at_checked(at));
    end.is_some_and(|(begin, end)| begin.ends_with('.') && end.eq_ignore_ascii_case(domain))
}

/// A user and a password, for the Basic scheme (RFC 7617). Over plain HTTP everybody on the way can read both.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    user: String,
    expected: Vec<u8>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Account {
    /// Nothing if the user has a colon in it, behind which the password would begin.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Option<Self> {
        if user.contains(':') {
            return None;
        }
        Some(Self { user: user.to_owned(), expected: STANDARD.encode(format!("{user}:{password}")).into_bytes() })
    }

    /// The user, for the log.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether an Authorization field holds this user and this password.
    #[must_use]
    pub fn admits(&self, authorization: &Value<'_>) -> bool {
        let Some(value) = authorization.as_deref() else { return false };
        let Some((scheme, token)) = value.split_at_checked("Basic ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"Basic ") && is_same(token.trim_ascii(), &self.expected)
    }
}

/// Compares in a time that tells nothing of where a difference lies. It tells of the length, which is worth little.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    let difference = given.iter().zip(expected).fold(0, |all, (one, other)| std::hint::black_box(all | (one ^ other)));
    given.len() == expected.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::request::{Parsed, parse};
    use super::*;

    #[test]
    fn one_user_with_one_password_comes_in() {
        let account = Account::new("Aladdin", "open sesame").unwrap();
        for (value, admitted) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", true),
            ("basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ== ", true),
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", false),
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==, Basic x", false),
            ("Basic ", false),
            ("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", false),
            ("", false),
        ] {
            assert_eq!(account.admits(&Some(Cow::Borrowed(value.as_bytes()))), admitted, "{value}");
        }
        assert!(!account.admits(&None));
        assert!(Account::new("a:b", "c").is_none());
        assert!(!format!("{account:?}").contains("QWx"));
    }

    /// Row 73 of the faults.
    #[test]
    fn a_name_that_is_not_ours_is_not_answered() {
        let hosts = Hosts::Local(vec!["box.lan.".to_owned()]);
        for (host, ours) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("localhost.", true),
            ("app.localhost:1", true),
            ("127.0.0.1:9999", true),
            ("[::1]:9999", true),
            ("192.168.1.5", true),
            ("Box.lan:80", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("web", true),
            ("Web.:8080", true),
            ("my_service:80", true),
            ("box.local", true),
            ("a.b.LOCAL", true),
            ("api.internal:3000", true),
            ("host.docker.internal", true),
            ("notlocal", true),
            ("evil.notlocal", false),
            ("local.example", false),
            ("internal.example.", false),
            ("web.example", false),
            ("1.2.3", false),
            ("other.box.lan", false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let Parsed::Whole { request, .. } = parse(head.as_bytes()) else { panic!("{host}") };
            assert_eq!(hosts.accept(&request), ours, "{host}");
            assert!(Hosts::Any.accept(&request));
        }
        let Parsed::Whole { request, .. } = parse(b"GET / HTTP/1.0\r\n\r\n") else { panic!("not whole") };
        assert!(hosts.accept(&request));
    }
}
