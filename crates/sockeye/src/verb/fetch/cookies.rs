//! Cookies (RFC 6265, sections 5.1 to 5.4): what the caller brings, what answers set, and the file in which they are kept.
//!
//! Domains that strangers share, as `co.uk` is, are those of the list of public suffixes: no cookie is for one.

use std::fmt::Write;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use rustix::fs::{Mode, fchmod};

use super::{FetchError, Head, Url, UrlScheme};
use crate::file::{AtomicFile, FileError, Step};
use crate::limits;
use crate::wire::http::http_date;

/// What is sent back to whom.
#[derive(Default)]
pub(super) struct Cookies {
    /// The caller's, for the origin that was asked first.
    own: Vec<String>,
    set: Jar,
}

/// Cookies that servers set, shared by all requests that have a clone of it.
///
/// ```
/// use sockeye::mock::Mock;
/// use sockeye::verb::fetch::{ConnectionPool, FetchOptions, Jar, Request, Url, fetch};
///
/// let server = Mock::start("C: GET / HTTP/1.1\nrepeat\n  C: {_}\nend\nC:\nS: HTTP/1.1 204 No Content\nS: Set-Cookie: sid=1\nS:\nS closes\n");
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("cookies");
///
/// let (jar, unreadable_lines) = Jar::open(&path)?;
/// let request = Request { jar: Some(jar.clone()), ..Request::get(Url::parse(&server.url("http"))?) };
/// fetch(&request, &FetchOptions::default(), &ConnectionPool::default(), &mut ())?;
/// jar.store(&path)?;
/// assert_eq!(unreadable_lines, 0);
/// assert!(std::fs::read_to_string(&path)?.ends_with("\tsid\t1\n"));
/// # server.finish();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Jar(Arc<Mutex<Vec<Cookie>>>);

/// What one line of a jar's file begins with that only HTTP gets to see.
const HTTP_ONLY: &str = "#HttpOnly_";

impl Jar {
    /// Reads a file of cookies that an earlier run, or another program, has kept; an empty jar if there is none. With it, how many
    /// lines are no cookies: those are gone when the file is written again.
    ///
    /// # Errors
    /// As open(2) and read(2).
    pub fn open(path: &Path) -> io::Result<(Self, usize)> {
        let jar = Self::default();
        let unreadable_lines = match std::fs::read(path) {
            Ok(bytes) => jar.read(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok((jar, unreadable_lines))
    }

    /// Writes all of them into a file, in place of what is there. A new file is for its owner alone, from its first byte on: a
    /// cookie is as good as a password. One that was there keeps its permissions.
    ///
    /// # Errors
    /// As [`AtomicFile::create`] and [`AtomicFile::commit`].
    pub fn store(&self, path: &Path) -> Result<(), FileError> {
        let is_new = !path.exists();
        let mut file = AtomicFile::create(path)?;
        if is_new {
            let failed = |error| FileError { step: Step::Begin, path: path.to_owned(), source: io::Error::from(error) };
            fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        }
        file.append(self.written().as_bytes())?;
        file.commit()
    }

    /// Reads what [`Jar::written`] writes: the file of Netscape, as curl and wget keep it. A line that is none of it is passed
    /// over; how many were is returned.
    pub fn read(&self, text: &str) -> usize {
        let (now, mut odd) = (SystemTime::now(), 0);
        for line in text.lines().map(|line| line.trim_end_matches('\r')) {
            let is_comment = line.starts_with('#') && !line.starts_with(HTTP_ONLY);
            if is_comment || line.trim().is_empty() {
                continue;
            }
            match Cookie::of_line(line) {
                Some(cookie) => self.put(cookie, now),
                None => odd += 1,
            }
        }
        odd
    }

    /// Everything that is not over, as a file.
    #[must_use]
    pub fn written(&self) -> String {
        let now = SystemTime::now();
        let mut text = "# Netscape HTTP Cookie File\n".to_owned();
        for cookie in self.all().iter().filter(|cookie| cookie.expires.is_none_or(|expires| expires > now)) {
            let flag = |is: bool| if is { "TRUE" } else { "FALSE" };
            let since =
                |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_secs());
            let begin = if cookie.http_only { HTTP_ONLY } else { "" };
            let dot = if cookie.with_subdomains { "." } else { "" };
            let Cookie { name, value, host, with_subdomains, path, secure, expires, .. } = cookie;
            let (with, secure, expires) = (flag(*with_subdomains), flag(*secure), expires.map_or(0, since));
            let _ = writeln!(text, "{begin}{dot}{host}\t{with}\t{path}\t{secure}\t{expires}\t{name}\t{value}");
        }
        text
    }

    fn put(&self, cookie: Cookie, now: SystemTime) {
        let mut all = self.all();
        let same = |other: &Cookie| other.name == cookie.name && other.host == cookie.host && other.path == cookie.path;
        all.retain(|other| !same(other));
        if cookie.expires.is_some_and(|expires| expires <= now) {
            return;
        }
        // One server's many push out its own oldest, and no other's.
        let of_host = |other: &Cookie| other.host == cookie.host;
        if all.iter().filter(|other| of_host(other)).count() >= limits::COOKIES
            && let Some(oldest) = all.iter().position(of_host)
        {
            all.remove(oldest);
        }
        if all.len() < limits::COOKIES * 50 {
            all.push(cookie);
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Cookie>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Jar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Jar").field(&self.all().len()).finish()
    }
}

struct Cookie {
    name: String,
    value: String,
    host: String,
    with_subdomains: bool,
    path: String,
    secure: bool,
    http_only: bool,
    expires: Option<SystemTime>,
}

impl Cookies {
    pub(super) fn of(own: &[String], set: Jar) -> Result<Self, FetchError> {
        for pair in own {
            // Not the pair in the message: it may be a secret.
            let wrong = |why: &str| FetchError::Request(format!("a cookie of --cookie {why}"));
            if !pair.split(';').all(|pair| pair.contains('=')) {
                return Err(wrong("is not NAME=VALUE"));
            }
            HeaderValue::try_from(pair).map_err(|_| wrong("has a control character"))?;
        }
        Ok(Self { own: own.to_vec(), set })
    }

    /// Another origin does not see the caller's; whether there were any.
    pub(super) fn leave(&mut self) -> bool {
        !std::mem::take(&mut self.own).is_empty()
    }

    /// Takes what an answer sets.
    pub(super) fn take(&mut self, head: &Head, url: &Url, now: SystemTime) {
        for field in head.every("set-cookie") {
            if let Some(cookie) = Cookie::read(field, url, now) {
                self.set.put(cookie, now);
            }
        }
    }

    /// What goes to a URL; those with longer paths first (section 5.4).
    pub(super) fn to_send(&self, url: &Url, now: SystemTime) -> Option<HeaderValue> {
        let all = self.set.all();
        let mut fitting: Vec<&Cookie> = all.iter().filter(|cookie| cookie.goes_to(url, now)).collect();
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let set = fitting.into_iter().map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let pairs: Vec<String> = self.own.iter().cloned().chain(set).collect();
        let mut value = HeaderValue::try_from(pairs.join("; ")).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Cookie {
    fn read(field: &[u8], url: &Url, now: SystemTime) -> Option<Self> {
        let text = std::str::from_utf8(field).ok().filter(|text| text.len() <= limits::COOKIE)?;
        let mut parts = text.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || text.chars().any(|c| c.is_control() && c != '\t') {
            return None;
        }
        let is_secure = url.origin.scheme == UrlScheme::Https;
        let mut cookie = Self {
            name: name.to_owned(),
            value: value.to_owned(),
            host: url.origin.host_name(false),
            with_subdomains: false,
            path: default_path(url),
            secure: false,
            http_only: false,
            expires: None,
        };
        let mut max_age = None;
        let mut has_domain = false;
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "expires" => cookie.expires = http_date(value.as_bytes()).or(cookie.expires),
                "max-age" => max_age = age(value, now).or(max_age),
                "domain" if !value.is_empty() => {
                    has_domain = true;
                    (cookie.host, cookie.with_subdomains) = domain(value, &cookie.host)?;
                }
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "path" => cookie.path = default_path(url),
                "secure" => cookie.secure = true,
                "httponly" => cookie.http_only = true,
                _ => {}
            }
        }
        cookie.expires = max_age.or(cookie.expires);
        // What says that it is secure is so (RFC 6265bis, sections 4.1.3 and 5.7).
        let lower = name.to_ascii_lowercase();
        let is_broken = (cookie.secure && !is_secure)
            || (lower.starts_with("__secure-") && !cookie.secure)
            || (lower.starts_with("__host-") && (!cookie.secure || has_domain || cookie.path != "/"));
        (!is_broken).then_some(cookie)
    }

    /// One line of a jar's file.
    fn of_line(line: &str) -> Option<Self> {
        let (http_only, line) = line.strip_prefix(HTTP_ONLY).map_or((false, line), |line| (true, line));
        let mut parts = line.splitn(7, '\t');
        let mut part = || parts.next();
        let (host, with, path, secure, expires, name) = (part()?, part()?, part()?, part()?, part()?, part()?);
        let value = part().unwrap_or_default();
        let is_clean = |text: &str| !text.chars().any(|c| c.is_control() || c == ';');
        let flag = |text: &str| match text {
            "TRUE" => Some(true),
            "FALSE" => Some(false),
            _ => None,
        };
        let seconds: u64 = expires.parse().ok()?;
        if name.is_empty() || !is_clean(name) || !is_clean(value) || !path.starts_with('/') {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            value: value.to_owned(),
            host: host.strip_prefix('.').unwrap_or(host).to_ascii_lowercase(),
            with_subdomains: flag(with)?,
            path: path.to_owned(),
            secure: flag(secure)?,
            http_only,
            expires: if seconds == 0 { None } else { SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) },
        })
    }

    fn goes_to(&self, url: &Url, now: SystemTime) -> bool {
        let host = url.origin.host_name(false);
        let is_host = host == self.host || (self.with_subdomains && is_below(&host, &self.host));
        is_host
            && (!self.secure || url.origin.scheme == UrlScheme::Https)
            && self.expires.is_none_or(|expires| expires > now)
            && path_matches(path_of(url), &self.path)
    }
}

/// Seconds from now; what is not positive is over (section 5.2.2).
fn age(value: &str, now: SystemTime) -> Option<SystemTime> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = if digits.len() < value.len() { 0 } else { digits.parse().unwrap_or(u64::from(u32::MAX)) };
    now.checked_add(Duration::from_secs(seconds.min(u64::from(u32::MAX))))
}

/// The host that a Domain is for, and whether those below it get the cookie too; none if it is not one of this host's, or
/// one that strangers share.
fn domain(value: &str, host: &str) -> Option<(String, bool)> {
    let value = value.strip_prefix('.').unwrap_or(value).to_ascii_lowercase();
    let value = match url::Host::parse(&value) {
        Ok(url::Host::Domain(name)) => name,
        _ => value,
    };
    let is_name = host.parse::<IpAddr>().is_err();
    let is_shared = psl::suffix(value.as_bytes()).is_some_and(|suffix| suffix == value.as_bytes());
    if value == host {
        return Some((value, is_name && !is_shared));
    }
    (is_name && !is_shared && is_below(host, &value)).then_some((value, true))
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn path_of(url: &Url) -> &str {
    url.target.split('?').next().unwrap_or("/")
}

/// Section 5.1.4.
fn default_path(url: &Url) -> String {
    match path_of(url).rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(end) => path_of(url)[..end].to_owned(),
    }
}

fn path_matches(path: &str, of_cookie: &str) -> bool {
    path.strip_prefix(of_cookie)
        .is_some_and(|rest| rest.is_empty() || of_cookie.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000_000)
    }

    /// What goes to the second URL when the first set this.
    fn sent(from: &str, set: &[&str], to: &str) -> String {
        let mut cookies = Cookies::default();
        let fields: String = set.iter().map(|set| format!("Set-Cookie: {set}\r\n")).collect();
        let head = Head::parse(format!("HTTP/1.1 302 x\r\n{fields}\r\n").as_bytes()).unwrap();
        cookies.take(&head, &Url::parse(from).unwrap(), now());
        let value = cookies.to_send(&Url::parse(to).unwrap(), now());
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_file_of_cookies_is_for_its_owner_unless_it_was_another_before() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jar");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let (jar, unreadable) = Jar::open(&path).unwrap();
        assert_eq!((jar.read("h\tFALSE\t/\tFALSE\t0\ta\t1\n"), unreadable), (0, 0));
        jar.store(&path).unwrap();
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        jar.store(&path).unwrap();
        assert_eq!(mode(), 0o640);
        // The next one has what is in it, without what is none.
        let text = std::fs::read_to_string(&path).unwrap() + "no cookie\n";
        std::fs::write(&path, text).unwrap();
        let (jar, unreadable) = Jar::open(&path).unwrap();
        assert_eq!(unreadable, 1);
        jar.store(&path).unwrap();
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(kept.ends_with("\ta\t1\n") && kept.lines().count() == 2, "{kept}");
        assert!(Jar::open(folder.path()).is_err());
        assert_eq!(jar.store(&folder.path().join("none/jar")).unwrap_err().step, Step::Begin);
    }

    #[test]
    fn a_cookie_goes_where_its_domain_path_and_scheme_say() {
        let (a, s) = ("http://a.example.org/x/y", "https://a.example.org/x/y");
        for (from, set, to, expected) in [
            (a, "n=1", "http://a.example.org/x/z?q", "n=1"),
            (a, "n=1", "http://a.example.org:81/x", "n=1"),
            (a, "n=1", "http://a.example.org/", ""),
            (a, "n=1", "http://a.example.org/xy", ""),
            (a, "n=1; Path=/", "http://a.example.org/", "n=1"),
            (a, "n=1; path=x", "http://a.example.org/", ""),
            (a, "n=1; Path=/", "http://b.a.example.org/", ""),
            (a, "n=1; Path=/; Domain=a.example.org", "http://b.a.example.org/", "n=1"),
            (a, "n=1; Path=/; Domain=.A.example.org", "http://xa.example.org/", ""),
            // A Domain above: to us, to it, and to all below it.
            (a, "n=1; Path=/; Domain=example.org", "http://a.example.org/", "n=1"),
            (a, "n=1; Path=/; Domain=example.org", "http://example.org/", "n=1"),
            (a, "n=1; Path=/; Domain=.Example.Org", "http://b.example.org/", "n=1"),
            (a, "n=1; Path=/; Domain=example.org", "http://notexample.org/", ""),
            ("http://a.b.co.uk/", "n=1; Domain=b.co.uk", "http://c.b.co.uk/", "n=1"),
            ("http://a.b.co.uk/", "n=1; Domain=co.uk", "http://c.co.uk/", ""),
            ("http://a.b.co.uk/", "n=1; Domain=uk", "http://a.b.co.uk/", ""),
            ("http://me.github.io/", "n=1; Domain=github.io", "http://you.github.io/", ""),
            ("http://a.bücher.example/", "n=1; Domain=bücher.example", "http://b.bücher.example/", "n=1"),
            // One that strangers share sets cookies for itself alone.
            ("http://github.io/", "n=1; Domain=github.io", "http://github.io/", "n=1"),
            ("http://github.io/", "n=1; Domain=github.io", "http://me.github.io/", ""),
            ("http://web.internal/", "n=1; Domain=internal", "http://other.internal/", ""),
            ("http://localhost/", "n=1; Domain=localhost", "http://localhost/", "n=1"),
            (a, "n=1; Path=/; Domain=org", "http://a.example.org/", ""),
            (a, "n=1; Path=/; Domain=other.org", "http://a.example.org/", ""),
            ("http://10.0.0.1/", "n=1; Domain=10.0.0.1", "http://10.0.0.1/", "n=1"),
            ("http://10.0.0.1/", "n=1; Domain=0.0.1", "http://10.0.0.1/", ""),
            (s, "n=1; Secure", s, "n=1"),
            (s, "n=1; Secure", a, ""),
            (a, "n=1; Secure", s, ""),
            (s, "__Secure-n=1", s, ""),
            (s, "__Host-n=1; Secure; Path=/", s, "__Host-n=1"),
            (s, "__Host-n=1; Secure; Path=/; Domain=a.example.org", s, ""),
            (a, "n=1; Max-Age=10", a, "n=1"),
            (a, "n=1; Max-Age=0", a, ""),
            (a, "n=1; Max-Age=-5; Expires=Sun, 06 Nov 2094 08:49:37 GMT", a, ""),
            (a, "n=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT", a, ""),
            (a, "n=1; Expires=Sat, 06-Nov-2094 08:49:37 GMT; HttpOnly", a, "n=1"),
            (a, "n = \"a b\" ; Max-Age=x", a, "n=\"a b\""),
            (a, "=1", a, ""),
            (a, "n", a, ""),
            (a, "n=a\tb", a, "n=a\tb"),
        ] {
            assert_eq!(sent(from, &[set], to), expected, "{from} {set} {to}");
        }
        assert_eq!(sent(a, &["n=1; Path=/", "m=2; Path=/x", "n=3; Path=/"], a), "m=2; n=3");
        assert_eq!(sent(a, &["n=1", "n=2; Max-Age=0"], a), "");
        let many: Vec<String> = (0..500).map(|number| format!("n{number}=1")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(sent(a, &many, a).matches("=1").count(), limits::COOKIES);
    }

    #[test]
    fn a_jar_is_read_from_what_it_wrote_and_from_what_others_write() {
        let jar = Jar::default();
        let text = "# Netscape HTTP Cookie File\n# a comment\n\n.example.org\tTRUE\t/\tFALSE\t4102444800\tn\t1\r\n\
            #HttpOnly_a.example.org\tFALSE\t/x\tTRUE\t0\tsession\ta b=c\nexample.org\tFALSE\t/\tFALSE\t1\told\tx\n\
            b.org\tFALSE\t/\tFALSE\t0\tempty\nnot a line\na\tb\tc\nb.org\tFALSE\t/\tFALSE\tx\tn\tv\n";
        assert_eq!(jar.read(text), 3);
        let cookies = Cookies::of(&[], jar.clone()).unwrap();
        let sent = |url: &str| {
            let value = cookies.to_send(&Url::parse(url).unwrap(), SystemTime::now());
            value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        assert_eq!(sent("https://a.example.org/x"), "session=a b=c; n=1");
        assert_eq!(sent("http://b.example.org/x"), "n=1");
        assert_eq!(sent("http://example.org/x"), "n=1");
        assert_eq!(sent("http://b.org/"), "empty=");
        let written = jar.written();
        let again = Jar::default();
        assert_eq!(again.read(&written), 0);
        assert_eq!(again.written(), written);
        assert_eq!(written.lines().count(), 4, "{written}");
    }
}
