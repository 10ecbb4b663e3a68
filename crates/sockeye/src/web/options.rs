//! What a site does beyond sending files, all of it off or harmless unless asked for.
//!
//! ```
//! use sockeye::web::options::{Hidden, SiteOptions};
//!
//! let options = SiteOptions::default();
//! assert_eq!(options.hidden, Hidden::Kept);
//! ```

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use super::account::Accounts;
use super::extra::{Caching, Extra};
pub use super::root::Links;
use crate::limits;
use crate::sys::hostname::hostname;
use crate::wire::http::request::{Request, Version};

/// How a site behaves.
#[derive(Debug, Clone)]
pub struct SiteOptions {
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
    /// Sent with 404 in place of our page, by its way from the root.
    pub not_found: Option<Vec<u8>>,
    /// The one file of the folder that is served, by its name: at the root, and under its name.
    pub only: Option<Vec<u8>>,
    /// Who may come in, and who may store files.
    pub accounts: Accounts,
    /// Fields that every answer has.
    pub extra: Option<Arc<Extra>>,
    /// How long files may be kept; the first that is about a file counts.
    pub caching: Vec<Caching>,
    /// Whether what lies packed beside a file is sent in its place.
    pub siblings: Siblings,
    /// Whether folders are sent whole.
    pub archives: Archives,
    /// Under which names this site is known.
    pub hosts: Hosts,
    /// The largest file that may be stored by PUT; nothing: no file may.
    pub upload: Option<u64>,
    /// Whether text is packed for who takes it so.
    pub packing: Packing,
}

impl Default for SiteOptions {
    fn default() -> Self {
        Self {
            hidden: Hidden::Kept,
            links: Links::Inside,
            folders: Folders::Listed,
            sharing: Sharing::SameOrigin,
            fallback: None,
            not_found: None,
            only: None,
            accounts: Accounts::default(),
            extra: None,
            caching: vec![],
            siblings: Siblings::None,
            archives: Archives::None,
            hosts: Hosts::Local(vec![]),
            upload: None,
            packing: Packing::Text,
        }
    }
}

impl SiteOptions {
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

/// What lies packed beside a file: `app.js.br`, `app.js.gz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Siblings {
    /// They are files of their own alone.
    None,
    /// A client that takes it so is sent them in place of the file, unless they are older than it.
    Packed,
}

/// Folders as one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archives {
    /// There is no such thing.
    None,
    /// `?zip` and `?tar` behind a folder's path.
    Sent,
}

/// The names in Host that are answered. A page of another site can have its own name lead here (DNS rebinding) and then
/// read what it likes, but it cannot have a browser say another name than its own. The public DNS has no names without a
/// dot, and none below `localhost` (RFC 6761), `local` (RFC 6762) and `internal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Whatever is asked for.
    Any,
    /// Addresses written as numbers, names that no attacker can have lead here from elsewhere, this machine's own, and these.
    Local(Vec<String>),
}

impl Hosts {
    /// Whether a request is for us. One of HTTP/1.0 without Host comes from no browser.
    #[must_use]
    pub(crate) fn accept(&self, request: &Request<'_>) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::request::{Parsed, parse};

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
