//! The client's side of SOCKS 4, 4A, and 5 (RFC 1928) with user and password (RFC 1929): bytes in, bytes out, no socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The host that the proxy is to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A name that the proxy looks up, and a port.
    Name(String, u16),
    /// An address.
    Address(SocketAddr),
}

/// Which SOCKS, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Version {
    /// SOCKS 4, or 4A if the destination is a name; the user may be empty.
    Four { user: String },
    /// SOCKS 5.
    Five { login: Option<(String, String)> },
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send these, then take what comes.
    Send(Vec<u8>),
    /// More has to come: at least so many bytes, and no byte more than these is the proxy's for certain.
    Wait(usize),
    /// The way is free; what comes is the destination's.
    Done,
}

/// Why there is no way, behind "the proxy says".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not let us through.
    Denied(String),
    /// It does not reach the destination.
    Unreachable(String),
    /// It does not speak the protocol.
    Strange(String),
}

/// What SOCKS cannot be asked for, before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// The host's name is empty, longer than 255 bytes, or has a zero byte.
    Name,
    /// User and password must have 1 to 255 bytes each (RFC 1929, section 2).
    Login,
    /// The user of SOCKS 4 is longer than 255 bytes, or has a zero byte.
    User,
    /// User or password are not UTF-8.
    NotUtf8,
    /// SOCKS 4 has room for addresses of IPv4 alone.
    Ipv6,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the host's name is too long for SOCKS",
            Self::Login => "user and password of a SOCKS proxy have 1 to 255 bytes",
            Self::User => "the user of a SOCKS proxy has at most 255 bytes",
            Self::NotUtf8 => "a user of SOCKS is not UTF-8",
            Self::Ipv6 => "SOCKS 4 knows no IPv6 addresses: take socks5://",
        })
    }
}

impl std::error::Error for RequestError {}

/// A way through a proxy that is being made.
#[derive(Debug)]
pub(crate) struct Socks {
    destination: Destination,
    version: Version,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Method,
    Login,
    Reply,
}

impl Socks {
    /// # Errors
    /// What cannot be asked for in this version.
    pub(crate) fn new(destination: Destination, version: Version) -> Result<Self, RequestError> {
        let fits = |text: &str| (1..=255).contains(&text.len());
        if let Destination::Name(name, _) = &destination
            && (!fits(name) || name.contains('\0'))
        {
            return Err(RequestError::Name);
        }
        match &version {
            Version::Five { login: Some((user, password)) } if !fits(user) || !fits(password) => {
                return Err(RequestError::Login);
            }
            Version::Four { user } if user.len() > 255 || user.contains('\0') => {
                return Err(RequestError::User);
            }
            Version::Four { .. } if matches!(destination, Destination::Address(SocketAddr::V6(_))) => {
                return Err(RequestError::Ipv6);
            }
            _ => {}
        }
        Ok(Self { destination, version, state: State::Begin })
    }

    /// Takes what has come off the front of these bytes.
    ///
    /// # Errors
    /// What the proxy says.
    pub(crate) fn next(&mut self, came: &mut Vec<u8>) -> Result<Next, Refusal> {
        match &self.version {
            Version::Four { .. } => self.next_of_four(came),
            Version::Five { .. } => self.next_of_five(came),
        }
    }

    fn next_of_four(&mut self, came: &mut Vec<u8>) -> Result<Next, Refusal> {
        let strange = || Refusal::Strange("something that is not SOCKS 4".to_owned());
        if self.state == State::Begin {
            self.state = State::Reply;
            return Ok(Next::Send(self.request_of_four()));
        }
        match came.as_slice() {
            [] => Ok(Next::Wait(8)),
            // Some servers answer with their version in place of a zero.
            [0 | 4, rest @ ..] => match rest {
                [] => Ok(Next::Wait(7)),
                [90, ..] if came.len() >= 8 => {
                    came.drain(..8);
                    Ok(Next::Done)
                }
                [90, ..] => Ok(Next::Wait(8 - came.len())),
                [91, ..] => Err(Refusal::Unreachable("no: rejected or failed".to_owned())),
                [92, ..] => Err(Refusal::Denied("no: it cannot ask identd on this machine who we are".to_owned())),
                [93, ..] => Err(Refusal::Denied("no: identd on this machine names another user".to_owned())),
                [code, ..] if *code > 93 => Err(unknown(*code)),
                _ => Err(strange()),
            },
            _ => Err(strange()),
        }
    }

    fn request_of_four(&self) -> Vec<u8> {
        let Version::Four { user } = &self.version else { return vec![] };
        let (port, ip, name) = match &self.destination {
            Destination::Address(SocketAddr::V4(address)) => (address.port(), address.ip().octets(), None),
            Destination::Address(SocketAddr::V6(address)) => (address.port(), [0; 4], None),
            // An address that no host has says that a name follows.
            Destination::Name(name, port) => (*port, [0, 0, 0, 1], Some(name)),
        };
        let mut bytes = vec![4, 1];
        bytes.extend(port.to_be_bytes());
        bytes.extend(ip);
        bytes.extend_from_slice(user.as_bytes());
        bytes.push(0);
        if let Some(name) = name {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
        }
        bytes
    }

    fn next_of_five(&mut self, came: &mut Vec<u8>) -> Result<Next, Refusal> {
        let Version::Five { login } = &self.version else { return Ok(Next::Done) };
        match (self.state, came.as_slice()) {
            (State::Begin, _) => {
                self.state = State::Method;
                // No authentication, and user and password if we have them.
                Ok(Next::Send(if login.is_some() { vec![5, 2, 0, 2] } else { vec![5, 1, 0] }))
            }
            (State::Method, &[5, method, ..]) => {
                came.drain(..2);
                match (method, login) {
                    (0, _) => Ok(self.connect()),
                    (2, Some((user, password))) => {
                        let mut bytes = vec![1];
                        push_text(&mut bytes, user);
                        push_text(&mut bytes, password);
                        self.state = State::Login;
                        Ok(Next::Send(bytes))
                    }
                    (0xff, Some(_)) => Err(Refusal::Denied("that no user and password help".to_owned())),
                    _ => Err(Refusal::Denied("that it wants to know who asks".to_owned())),
                }
            }
            // The version of this exchange is 1; some servers say 5.
            (State::Login, &[1 | 5, status, ..]) => {
                came.drain(..2);
                match status {
                    0 => Ok(self.connect()),
                    _ => Err(Refusal::Denied("that user or password are wrong".to_owned())),
                }
            }
            (State::Reply, &[5, 0, ..]) => match missing_of_reply(came)? {
                0 => {
                    came.drain(..reply_length(came).unwrap_or(came.len()));
                    Ok(Next::Done)
                }
                missing => Ok(Next::Wait(missing)),
            },
            (State::Reply, &[5, code, ..]) => Err(refusal(code)),
            // The shortest reply is longer, and its fifth byte tells how long it is.
            (State::Reply, &[] | &[5]) => Ok(Next::Wait(5 - came.len())),
            (State::Method, &[] | &[5]) | (State::Login, &[] | &[1 | 5]) => Ok(Next::Wait(2 - came.len())),
            _ => Err(Refusal::Strange("something that is not SOCKS 5".to_owned())),
        }
    }

    fn connect(&mut self) -> Next {
        self.state = State::Reply;
        let mut bytes = vec![5, 1, 0];
        let port = match &self.destination {
            Destination::Name(name, port) => {
                bytes.push(3);
                push_text(&mut bytes, name);
                *port
            }
            Destination::Address(address) => {
                match address.ip() {
                    IpAddr::V4(ip) => {
                        bytes.push(1);
                        bytes.extend(ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        bytes.push(4);
                        bytes.extend(ip.octets());
                    }
                }
                address.port()
            }
        };
        bytes.extend(port.to_be_bytes());
        Next::Send(bytes)
    }
}

/// How long a reply is with the address that it ends with; none if that is not known yet.
fn reply_length(came: &[u8]) -> Option<usize> {
    let address = match *came {
        [_, _, _, 1, ..] => 4,
        [_, _, _, 3, length, ..] => 1 + usize::from(length),
        [_, _, _, 4, ..] => 16,
        _ => return None,
    };
    Some(4 + address + 2)
}

/// How many bytes of a reply that says yes have not come.
fn missing_of_reply(came: &[u8]) -> Result<usize, Refusal> {
    match came.get(3) {
        Some(1 | 3 | 4) | None => {}
        Some(_) => return Err(Refusal::Strange("something that is not SOCKS 5".to_owned())),
    }
    Ok(reply_length(came).unwrap_or(5).saturating_sub(came.len()))
}

fn refusal(code: u8) -> Refusal {
    // RFC 1928, section 6.
    let words = match code {
        2 => return Refusal::Denied("not allowed".to_owned()),
        7 => return Refusal::Denied("command not supported".to_owned()),
        8 => return Refusal::Denied("this kind of address is not supported".to_owned()),
        1 => "general failure",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "no answer in time (TTL expired)",
        _ => return unknown(code),
    };
    Refusal::Unreachable(words.to_owned())
}

fn unknown(code: u8) -> Refusal {
    Refusal::Denied(format!("no, by a code that nobody knows: {code}"))
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    // Its length was looked at in the beginning.
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Destination {
        Destination::Name("host".to_owned(), 258)
    }

    fn five(login: Option<(&str, &str)>) -> Version {
        Version::Five { login: login.map(|(user, password)| (user.to_owned(), password.to_owned())) }
    }

    fn four(user: &str) -> Version {
        Version::Four { user: user.to_owned() }
    }

    /// What is sent for these answers, which come one byte at a time; then how it ends. No byte is waited for that does not come.
    fn talk(destination: Destination, version: Version, answers: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), Refusal>) {
        let mut socks = Socks::new(destination, version).unwrap();
        let (mut sent, mut came) = (Vec::new(), Vec::new());
        let mut bytes = answers.concat().into_iter();
        loop {
            match socks.next(&mut came) {
                Ok(Next::Send(bytes)) => sent.push(bytes),
                Ok(Next::Wait(missing)) => {
                    assert!(missing > 0 && missing <= bytes.len(), "it waits for {missing}, and {} come", bytes.len());
                    came.push(bytes.next().expect("it waits for too much"));
                }
                Ok(Next::Done) => return (sent, Ok(())),
                Err(why) => return (sent, Err(why)),
            }
        }
    }

    #[test]
    fn a_way_is_asked_for_by_name_or_address_with_or_without_a_password() {
        let reply: &[u8] = &[5, 0, 0, 1, 1, 2, 3, 4, 0, 80];
        let (sent, ended) = talk(name(), five(None), &[&[5, 0], reply]);
        assert_eq!((sent, ended), (vec![vec![5, 1, 0], b"\x05\x01\x00\x03\x04host\x01\x02".to_vec()], Ok(())));
        let (sent, ended) =
            talk(name(), five(Some(("me", "pw"))), &[&[5, 2], &[1, 0], &[5, 0, 0, 3, 2, b'a', b'b', 0, 80]]);
        assert_eq!(sent[..2], [vec![5, 2, 0, 2], b"\x01\x02me\x02pw".to_vec()]);
        assert_eq!(ended, Ok(()));
        let v6 = Destination::Address("[::1]:80".parse().unwrap());
        let (sent, ended) = talk(v6, five(None), &[&[5, 0], &[5, 0, 0, 4], &[0; 18]]);
        assert_eq!((sent[1].len(), sent[1][3], ended), (22, 4, Ok(())));
        // An address of no length at all is still whole.
        assert_eq!(talk(name(), five(None), &[&[5, 0], &[5, 0, 0, 3, 0, 0, 80]]).1, Ok(()));
    }

    #[test]
    fn socks_4_is_asked_by_address_and_4a_by_name() {
        let yes: &[u8] = &[0, 90, 0, 0, 0, 0, 0, 0];
        let v4 = Destination::Address("1.2.3.4:258".parse().unwrap());
        assert_eq!(talk(v4, four("me"), &[yes]), (vec![b"\x04\x01\x01\x02\x01\x02\x03\x04me\0".to_vec()], Ok(())));
        let asked = b"\x04\x01\x01\x02\x00\x00\x00\x01\0host\0".to_vec();
        assert_eq!(talk(name(), four(""), &[yes]), (vec![asked], Ok(())));
        let refused = |destination, user: &str| Socks::new(destination, four(user)).unwrap_err();
        assert_eq!(refused(Destination::Address("[::1]:80".parse().unwrap()), ""), RequestError::Ipv6);
        assert_eq!(refused(name(), "a\0b"), RequestError::User);
        assert_eq!(refused(name(), &"a".repeat(256)), RequestError::User);
        for (answer, why) in [
            (&[0, 91][..], Refusal::Unreachable("no: rejected or failed".to_owned())),
            (&[4, 93, 0], Refusal::Denied("no: identd on this machine names another user".to_owned())),
            (&[0, 7], Refusal::Strange("something that is not SOCKS 4".to_owned())),
            (b"HTTP/1.1 400", Refusal::Strange("something that is not SOCKS 4".to_owned())),
            (&[0, 200], unknown(200)),
        ] {
            let padded = [answer, &[0; 8]].concat();
            assert_eq!(talk(name(), four(""), &[&padded]).1, Err(why));
        }
    }

    #[test]
    fn what_the_proxy_refuses_is_told_in_words() {
        let strange = || Refusal::Strange("something that is not SOCKS 5".to_owned());
        let denied = |words: &str| Refusal::Denied(words.to_owned());
        for (answers, says) in [
            (&[5, 0xff][..], denied("that it wants to know who asks")),
            (&[5, 2], denied("that it wants to know who asks")),
            (&[5, 0, 5, 5], Refusal::Unreachable("connection refused".to_owned())),
            (&[5, 0, 5, 2], denied("not allowed")),
            (&[5, 0, 5, 99], denied("no, by a code that nobody knows: 99")),
            (b"HT", strange()),
            (&[5, 0, 5, 0, 0, 9], strange()),
            (&[5, 0, 4, 0, 0, 9], strange()),
        ] {
            let padded = [answers, &[0; 8]].concat();
            assert_eq!(talk(name(), five(None), &[&padded]).1, Err(says), "{answers:?}");
        }
        let (_, ended) = talk(name(), five(Some(("a", "b"))), &[&[5, 2], &[1, 1]]);
        assert_eq!(ended, Err(denied("that user or password are wrong")));
        let refused = |destination, login| Socks::new(destination, five(login)).unwrap_err();
        assert_eq!(refused(Destination::Name("x".repeat(256), 1), None), RequestError::Name);
        for login in [("", "p"), ("u", ""), ("u", &*"p".repeat(256))] {
            assert_eq!(refused(name(), Some(login)), RequestError::Login, "{login:?}");
        }
    }
}
