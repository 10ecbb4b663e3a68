//! Becoming another user for good (setresuid(2), credentials(7)). The C library does it for every thread.

use std::{fmt, io};

/// The user to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// As it was typed.
    name: String,
    uid: u32,
    gid: u32,
    /// The groups that list the user.
    others: Vec<u32>,
}

/// Why there is no such user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserError {
    /// No user has that name.
    NoUser(String),
    /// No group has that name.
    NoGroup(String),
    /// Nothing tells the group of a user that is a number.
    NoGroupOf(String),
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUser(name) => write!(f, "there is no user `{name}` in /etc/passwd"),
            Self::NoGroup(name) => write!(f, "there is no group `{name}` in /etc/group"),
            Self::NoGroupOf(name) => write!(f, "{name} has no entry in /etc/passwd that tells its group: {name}:GROUP"),
        }
    }
}

impl std::error::Error for UserError {}

impl User {
    /// `NAME`, `NAME:GROUP` or numbers. The files of passwd(5) and group(5) are asked; other sources of names would mean
    /// loading code into this process.
    ///
    /// # Errors
    /// Who, or what, is not there.
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::find(text, &read("/etc/passwd"), &read("/etc/group"))
    }

    fn find(text: &str, users: &str, groups: &str) -> Result<Self, UserError> {
        let (name, group) = match text.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (text, None),
        };
        let user = row(users, name);
        let number = |row: &[&str], field: usize| row.get(field).and_then(|field| field.parse::<u32>().ok());
        let uid = user.as_deref().and_then(|row| number(row, 2)).or_else(|| name.parse().ok());
        let uid = uid.ok_or_else(|| UserError::NoUser(name.to_owned()))?;
        let own = user.as_deref().and_then(|row| number(row, 3));
        let gid = match group {
            Some(group) => {
                let found = row(groups, group).as_deref().and_then(|row| number(row, 2));
                found.or_else(|| group.parse().ok()).ok_or_else(|| UserError::NoGroup(group.to_owned()))?
            }
            None => own.ok_or_else(|| UserError::NoGroupOf(name.to_owned()))?,
        };
        let account = user.as_deref().map_or(name, |row| row[0]);
        let lists = |row: &&str| row.split(':').nth(3).is_some_and(|members| members.split(',').any(|m| m == account));
        let mut others: Vec<u32> =
            groups.lines().filter(lists).filter_map(|line| line.split(':').nth(2)?.parse().ok()).chain([gid]).collect();
        others.sort_unstable();
        others.dedup();
        Ok(Self { name: text.to_owned(), uid, gid, others })
    }

    /// Its number.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Becomes that user, all threads of the process, and sees that there is no way back.
    ///
    /// # Errors
    /// It is not allowed, or there is a way back.
    pub fn become_it(&self) -> io::Result<()> {
        // SAFETY: the list lives beyond the call, which reads as many numbers as it is told.
        done(unsafe { libc::setgroups(self.others.len(), self.others.as_ptr()) })?;
        // SAFETY: numbers only.
        done(unsafe { libc::setresgid(self.gid, self.gid, self.gid) })?;
        // SAFETY: numbers only.
        done(unsafe { libc::setresuid(self.uid, self.uid, self.uid) })?;
        let way_back =
            |what: &str| Err(io::Error::other(format!("{what} could be had again, so that nothing was given up")));
        let (mut real, mut effective, mut saved) = (0, 0, 0);
        // SAFETY: three numbers are written, which live beyond the call.
        done(unsafe { libc::getresuid(&raw mut real, &raw mut effective, &raw mut saved) })?;
        if [real, effective, saved] != [self.uid; 3] {
            return way_back("another user");
        }
        // SAFETY: three numbers are written, which live beyond the call.
        done(unsafe { libc::getresgid(&raw mut real, &raw mut effective, &raw mut saved) })?;
        if [real, effective, saved] != [self.gid; 3] {
            return way_back("another group");
        }
        // SAFETY: numbers only; what is tried is to fail.
        if self.uid != 0 && unsafe { libc::setresuid(0, 0, 0) } == 0 {
            return way_back("root");
        }
        // SAFETY: as above.
        if self.uid != 0 && self.gid != 0 && unsafe { libc::setresgid(0, 0, 0) } == 0 {
            return way_back("root's group");
        }
        Ok(())
    }
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (user {}, group {})", self.name, self.uid, self.gid)
    }
}

/// The row of passwd(5) or group(5) of a name, or of a number.
fn row<'a>(table: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let rows = || table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    rows().find(|row| row[0] == name).or_else(|| rows().find(|row| row.get(2) == Some(&name)))
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/false\n";
    const GROUPS: &str = "root:x:0:\nwww:x:33:\nssl:x:110:other,www\nlogs:x:111:www\nno:x:112:wwww\n";

    #[test]
    fn a_user_has_its_group_and_those_that_list_it() {
        let found = |text| User::find(text, USERS, GROUPS).map(|user| (user.uid, user.gid, user.others));
        assert_eq!(found("www"), Ok((33, 33, vec![33, 110, 111])));
        assert_eq!(found("33"), found("www"));
        assert_eq!(found("www:ssl"), Ok((33, 110, vec![110, 111])));
        assert_eq!(found("4000:4001"), Ok((4000, 4001, vec![4001])));
        assert_eq!(found("nobody").unwrap_err().to_string(), "there is no user `nobody` in /etc/passwd");
        assert_eq!(found("www:nogroup").unwrap_err().to_string(), "there is no group `nogroup` in /etc/group");
        assert!(found("4000").unwrap_err().to_string().ends_with("4000:GROUP"));
    }
}
