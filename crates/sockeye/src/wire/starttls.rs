//! What is said in clear before TLS begins, protocol by protocol, from the client's side: bytes in, bytes out, no socket.

mod binary;
mod lines;
mod xmpp;

use std::fmt;

/// A protocol whose sessions may go over to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upgrade {
    /// Mail (RFC 3207).
    Smtp,
    /// Mail that is delivered (RFC 2033).
    Lmtp,
    /// Mail that is read (RFC 9051).
    Imap,
    /// Mail that is fetched (RFC 2595).
    Pop3,
    /// Files (RFC 4217).
    Ftp,
    /// Filters of mail (RFC 5804).
    Sieve,
    /// News (RFC 4642).
    Nntp,
    /// Messages (RFC 6120).
    Xmpp,
    /// Directories (RFC 4511, section 4.14).
    Ldap,
    /// The database.
    Postgres,
    /// The database, and MariaDB.
    Mysql,
}

impl Upgrade {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Smtp,
        Self::Lmtp,
        Self::Imap,
        Self::Pop3,
        Self::Ftp,
        Self::Sieve,
        Self::Nntp,
        Self::Xmpp,
        Self::Ldap,
        Self::Postgres,
        Self::Mysql,
    ];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Ftp => "ftp",
            Self::Sieve => "sieve",
            Self::Nntp => "nntp",
            Self::Xmpp => "xmpp",
            Self::Ldap => "ldap",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }
}

impl fmt::Display for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send these, then take what comes.
    Send(Vec<u8>),
    /// More has to come.
    Wait,
    /// TLS begins here. What has come and was not taken may have been put there by a third party.
    Secure,
}

/// Why TLS does not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The server does not do it; what it says.
    Refused(String),
    /// The server does not offer it.
    NotOffered,
    /// It says something that is not of this protocol.
    Strange(String),
    /// It said something before it was asked.
    OutOfTurn,
}

/// A dialogue that leads to TLS.
#[derive(Debug)]
pub(crate) struct Dialogue {
    upgrade: Upgrade,
    /// How many answers have come.
    step: usize,
    /// What the server is called.
    host: String,
    /// What we are called.
    own: String,
}

impl Dialogue {
    pub(crate) fn new(upgrade: Upgrade, host: &str, own: &str) -> Self {
        Self { upgrade, step: 0, host: host.to_owned(), own: own.to_owned() }
    }

    /// Takes what has come off the front of these bytes.
    ///
    /// # Errors
    /// Why TLS does not begin.
    pub(crate) fn next(&mut self, came: &mut Vec<u8>) -> Result<Next, Refusal> {
        let next = match self.upgrade {
            Upgrade::Xmpp => xmpp::next(&mut self.step, &self.host, came),
            Upgrade::Ldap => binary::ldap(&mut self.step, came),
            Upgrade::Postgres => binary::postgres(&mut self.step, came),
            Upgrade::Mysql => binary::mysql(&mut self.step, came),
            upgrade => lines::next(upgrade, &mut self.step, &self.own, came),
        }?;
        // An attacker who speaks before it is asked may have put words of its own into the server's mouth.
        match next {
            Next::Send(_) if !came.is_empty() => Err(Refusal::OutOfTurn),
            next => Ok(next),
        }
    }
}

/// What a server said, for people: its first line, and not all of a long one.
fn shown(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text: String = String::from_utf8_lossy(line).trim().chars().take(200).collect();
    if text.is_empty() { "an empty line".to_owned() } else { text }
}

fn strange(bytes: &[u8]) -> Refusal {
    Refusal::Strange(shown(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent for these answers, each of which comes one byte at a time when it is due; then what is left, or why not.
    pub(super) fn talk(upgrade: Upgrade, answers: &[&[u8]]) -> (Vec<String>, Result<Vec<u8>, Refusal>) {
        let mut dialogue = Dialogue::new(upgrade, "mail.example", "me.example");
        let (mut sent, mut came) = (Vec::new(), Vec::new());
        let mut answers = answers.iter().map(|answer| answer.iter().copied());
        let mut answer = answers.next().unwrap();
        loop {
            match dialogue.next(&mut came) {
                Ok(Next::Send(bytes)) => {
                    sent.push(String::from_utf8_lossy(&bytes).into_owned());
                    if answer.len() == 0 {
                        answer = answers.next().unwrap_or([].iter().copied());
                    }
                }
                Ok(Next::Wait) => match answer.next() {
                    Some(byte) => came.push(byte),
                    None => match answers.next() {
                        Some(next) => answer = next,
                        None => return (sent, Err(Refusal::Strange("nothing more came".to_owned()))),
                    },
                },
                Ok(Next::Secure) => {
                    came.extend(answer);
                    return (sent, Ok(came));
                }
                Err(why) => return (sent, Err(why)),
            }
        }
    }

    #[test]
    fn every_protocol_of_lines_asks_and_goes_over() {
        for (upgrade, answers, says) in [
            (
                Upgrade::Smtp,
                &[
                    &b"220-hello\r\n220 there\r\n"[..],
                    b"250-mail.example\r\n250-STARTTLS\r\n250 HELP\r\n",
                    b"220 go\r\n",
                ][..],
                &["EHLO me.example\r\n", "STARTTLS\r\n"][..],
            ),
            (Upgrade::Smtp, &[b"220 x\n", b"250 starttls\n", b"220 go\n"], &["EHLO me.example\r\n", "STARTTLS\r\n"]),
            (
                Upgrade::Lmtp,
                &[b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n"],
                &["LHLO me.example\r\n", "STARTTLS\r\n"],
            ),
            (
                Upgrade::Imap,
                &[
                    b"* OK ready\r\n",
                    b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n* 3 EXISTS\r\na1 OK done\r\n",
                    b"a2 OK go\r\n",
                ],
                &["a1 CAPABILITY\r\n", "a2 STARTTLS\r\n"],
            ),
            (Upgrade::Pop3, &[b"+OK ready\r\n", b"+OK go\r\n"], &["STLS\r\n"]),
            (Upgrade::Ftp, &[b"220-a\r\n b\r\n220 c\r\n", b"234 go\r\n"], &["AUTH TLS\r\n"]),
            (
                Upgrade::Sieve,
                &[b"\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK \"ready\"\r\n", b"OK\r\n"],
                &["STARTTLS\r\n"],
            ),
            (Upgrade::Nntp, &[b"200 hello\r\n", b"382 go\r\n"], &["STARTTLS\r\n"]),
        ] {
            let (sent, ended) = talk(upgrade, answers);
            assert_eq!((sent, ended), (says.iter().map(|&line| line.to_owned()).collect(), Ok(vec![])), "{upgrade}");
        }
    }

    #[test]
    fn what_comes_behind_the_yes_is_left_over_and_what_comes_unasked_is_refused() {
        let (_, ended) = talk(Upgrade::Pop3, &[b"+OK ready\r\n", b"+OK go\r\n+OK injected\r\n"]);
        assert_eq!(ended, Ok(b"+OK injected\r\n".to_vec()));
        let mut dialogue = Dialogue::new(Upgrade::Pop3, "x", "y");
        assert_eq!(dialogue.next(&mut b"+OK ready\r\n+OK go\r\n".to_vec()), Err(Refusal::OutOfTurn));
    }

    #[test]
    fn what_is_refused_or_strange_is_told_in_the_servers_words() {
        let refused = |text: &str| Refusal::Refused(text.to_owned());
        for (upgrade, answers, why) in [
            (Upgrade::Smtp, &[&b"554 no\r\n"[..]][..], refused("554 no")),
            (Upgrade::Smtp, &[b"220 x\r\n", b"250 HELP\r\n"], Refusal::NotOffered),
            (Upgrade::Smtp, &[b"220 x\r\n", b"250 STARTTLS\r\n", b"454 later\r\n"], refused("454 later")),
            (Upgrade::Smtp, &[b"SSH-2.0-x\r\n"], Refusal::Strange("SSH-2.0-x".to_owned())),
            (Upgrade::Imap, &[b"* BYE full\r\n"], refused("* BYE full")),
            (Upgrade::Imap, &[b"* PREAUTH you\r\n"], refused("* PREAUTH you")),
            (Upgrade::Imap, &[b"* OK x\r\n", b"* CAPABILITY IMAP4rev1\r\na1 OK x\r\n"], Refusal::NotOffered),
            (
                Upgrade::Imap,
                &[b"* OK x\r\n", b"* CAPABILITY STARTTLS\r\na1 OK x\r\n", b"a2 NO x\r\n"],
                refused("a2 NO x"),
            ),
            (Upgrade::Pop3, &[b"+OK x\r\n", b"-ERR no\r\n"], refused("-ERR no")),
            (Upgrade::Ftp, &[b"220 x\r\n", b"502 no\r\n"], refused("502 no")),
            (Upgrade::Sieve, &[b"\"SIEVE\" \"x\"\r\nOK\r\n"], Refusal::NotOffered),
            (Upgrade::Sieve, &[b"\"STARTTLS\"\r\nOK\r\n", b"NO \"x\"\r\n"], refused("NO \"x\"")),
            (Upgrade::Sieve, &[b"\"STARTTLS\"\r\nBYE \"x\"\r\n"], refused("BYE \"x\"")),
            (Upgrade::Nntp, &[b"200 x\r\n", b"502 no\r\n"], refused("502 no")),
        ] {
            assert_eq!(talk(upgrade, answers).1, Err(why), "{upgrade}");
        }
    }
}
