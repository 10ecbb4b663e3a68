//! Who may read and who may write: users with passwords, for the Basic scheme (RFC 7617).
//!
//! ```
//! use sockeye::web::account::{Account, Accounts};
//!
//! let ann = Account::new("ann", "secret").expect("there is no colon in the name");
//! let accounts = Accounts { readers: vec![ann], ..Accounts::default() };
//! assert_eq!(accounts.readers[0].user(), "ann");
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::wire::http::fields::Value;

/// A user and a password. Over plain HTTP everybody on the way can read both.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    user: String,
    expected: Vec<u8>,
}

/// Those who may come in. Where none is named, every client may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Who may read.
    pub readers: Vec<Account>,
    /// Who may store files, and read as well; none: every reader may.
    pub writers: Vec<Account>,
}

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
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

impl Accounts {
    /// Whether a client without any account may do this.
    pub(crate) fn is_open(&self, to: Access) -> bool {
        self.readers.is_empty() && (to == Access::Read || self.writers.is_empty())
    }

    /// Whether an Authorization field is of one who may do this.
    pub(crate) fn admit(&self, to: Access, authorization: &Value<'_>) -> bool {
        self.is_open(to) || self.those(to).any(|account| account.admits(authorization))
    }

    /// Who an Authorization field is of.
    pub(crate) fn user(&self, authorization: &Value<'_>) -> Option<&str> {
        let all = || self.those(Access::Read);
        all().find(|account| account.admits(authorization)).map(Account::user)
    }

    fn those(&self, to: Access) -> impl Iterator<Item = &Account> {
        let readers = if to == Access::Read || self.writers.is_empty() { &self.readers[..] } else { &[] };
        readers.iter().chain(&self.writers)
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

    #[test]
    fn writers_read_and_readers_do_not_write_unless_nobody_else_is_there() {
        let account = |name: &str| Account::new(name, "x").unwrap();
        let say = |name: &str| Some(Cow::Owned(format!("Basic {}", STANDARD.encode(format!("{name}:x"))).into_bytes()));
        let (ann, bob, eve) = (say("ann"), say("bob"), say("eve"));
        let both = Accounts { readers: vec![account("ann")], writers: vec![account("bob")] };
        let writers = Accounts { readers: vec![], writers: vec![account("bob")] };
        let readers = Accounts { readers: vec![account("ann"), account("bob")], writers: vec![] };
        for (accounts, given, reads, writes) in [
            (&both, &ann, true, false),
            (&both, &bob, true, true),
            (&both, &eve, false, false),
            (&both, &None, false, false),
            (&writers, &None, true, false),
            (&writers, &bob, true, true),
            (&readers, &bob, true, true),
            (&readers, &None, false, false),
            (&Accounts::default(), &None, true, true),
        ] {
            assert_eq!(accounts.admit(Access::Read, given), reads, "{given:?}");
            assert_eq!(accounts.admit(Access::Write, given), writes, "{given:?}");
        }
        assert_eq!((both.user(&bob), both.user(&eve), both.user(&None)), (Some("bob"), None, None));
    }
}
