//! The client's side of SOCKS 5 (RFC 1928), with user and password (RFC 1929): bytes in, bytes out, no socket.

use std::net::{IpAddr, SocketAddr};

/// Whom the proxy is to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A name that the proxy looks up, and a port.
    Name(String, u16),
    /// An address.
    Address(SocketAddr),
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send these, then take what comes.
    Send(Vec<u8>),
    /// More has to come.
    Wait,
    /// The way is free; what comes is the destination's.
    Done,
}

/// A way through a proxy that is being made.
#[derive(Debug)]
pub(crate) struct Socks {
    destination: Destination,
    login: Option<(String, String)>,
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
    pub(crate) fn new(destination: Destination, login: Option<(String, String)>) -> Result<Self, String> {
        let fits = |text: &str| (1..=255).contains(&text.len());
        if let Destination::Name(name, _) = &destination
            && !fits(name)
        {
            return Err("the host's name is too long for SOCKS".to_owned());
        }
        if login.as_ref().is_some_and(|(user, password)| !fits(user) || !fits(password)) {
            return Err("user and password of a SOCKS proxy have 1 to 255 bytes".to_owned());
        }
        Ok(Self { destination, login, state: State::Begin })
    }

    /// Takes what has come off the front of these bytes.
    ///
    /// # Errors
    /// What the proxy says, behind "the proxy says".
    pub(crate) fn next(&mut self, came: &mut Vec<u8>) -> Result<Next, String> {
        match (self.state, came.as_slice()) {
            (State::Begin, _) => {
                self.state = State::Method;
                // No authentication, and user and password if we have them.
                Ok(Next::Send(if self.login.is_some() { vec![5, 2, 0, 2] } else { vec![5, 1, 0] }))
            }
            (State::Method, &[5, method, ..]) => {
                came.drain(..2);
                match (method, &self.login) {
                    (0, _) => Ok(self.connect()),
                    (2, Some((user, password))) => {
                        let mut bytes = vec![1];
                        push_text(&mut bytes, user);
                        push_text(&mut bytes, password);
                        self.state = State::Login;
                        Ok(Next::Send(bytes))
                    }
                    (0xff, Some(_)) => Err("that no user and password help".to_owned()),
                    _ => Err("that it wants to know who asks".to_owned()),
                }
            }
            (State::Login, &[_, status, ..]) => {
                came.drain(..2);
                if status == 0 { Ok(self.connect()) } else { Err("that user or password are wrong".to_owned()) }
            }
            (State::Reply, &[5, 0, ..]) => {
                let Some(length) = reply_length(came)? else { return Ok(Next::Wait) };
                came.drain(..length);
                Ok(Next::Done)
            }
            (State::Reply, &[5, code, ..]) => Err(refusal(code)),
            (_, &[] | &[5] | &[1]) => Ok(Next::Wait),
            _ => Err("something that is not SOCKS 5".to_owned()),
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

/// How long a reply is with the address that it ends with; none if that has not come yet.
fn reply_length(came: &[u8]) -> Result<Option<usize>, String> {
    let address = match *came {
        [_, _, _, 1, ..] => 4,
        [_, _, _, 3, length, ..] => 1 + usize::from(length),
        [_, _, _, 4, ..] => 16,
        [_, _, _, kind, ..] if kind != 3 => return Err("something that is not SOCKS 5".to_owned()),
        _ => return Ok(None),
    };
    let length = 4 + address + 2;
    Ok((came.len() >= length).then_some(length))
}

fn refusal(code: u8) -> String {
    // RFC 1928, section 6.
    let words = match code {
        1 => "general failure",
        2 => "not allowed",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "no answer in time (TTL expired)",
        7 => "command not supported",
        8 => "this kind of address is not supported",
        _ => return format!("no, by a code that nobody knows: {code}"),
    };
    words.to_owned()
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

    /// What is sent for these answers, which come one byte at a time; then how it ends.
    fn talk(
        destination: Destination,
        login: Option<(&str, &str)>,
        answers: &[&[u8]],
    ) -> (Vec<Vec<u8>>, Result<(), String>) {
        let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let mut socks = Socks::new(destination, login).unwrap();
        let (mut sent, mut came) = (Vec::new(), Vec::new());
        let mut bytes = answers.concat().into_iter();
        loop {
            match socks.next(&mut came) {
                Ok(Next::Send(bytes)) => sent.push(bytes),
                Ok(Next::Wait) => came.push(bytes.next().expect("it waits for too much")),
                Ok(Next::Done) => return (sent, Ok(())),
                Err(why) => return (sent, Err(why)),
            }
        }
    }

    #[test]
    fn a_way_is_asked_for_by_name_or_address_with_or_without_a_password() {
        let reply: &[u8] = &[5, 0, 0, 1, 1, 2, 3, 4, 0, 80];
        let (sent, ended) = talk(name(), None, &[&[5, 0], reply]);
        assert_eq!((sent, ended), (vec![vec![5, 1, 0], b"\x05\x01\x00\x03\x04host\x01\x02".to_vec()], Ok(())));
        let (sent, ended) = talk(name(), Some(("me", "pw")), &[&[5, 2], &[1, 0], &[5, 0, 0, 3, 2, b'a', b'b', 0, 80]]);
        assert_eq!(sent[..2], [vec![5, 2, 0, 2], b"\x01\x02me\x02pw".to_vec()]);
        assert_eq!(ended, Ok(()));
        let v6 = Destination::Address("[::1]:80".parse().unwrap());
        let (sent, ended) = talk(v6, None, &[&[5, 0], &[5, 0, 0, 4], &[0; 18]]);
        assert_eq!((sent[1].len(), sent[1][3], ended), (22, 4, Ok(())));
    }

    #[test]
    fn what_the_proxy_refuses_is_told_in_words() {
        for (answers, says) in [
            (&[5, 0xff][..], "that it wants to know who asks"),
            (&[5, 2], "that it wants to know who asks"),
            (&[5, 0, 5, 5], "connection refused"),
            (&[5, 0, 5, 99], "no, by a code that nobody knows: 99"),
            (b"HT", "something that is not SOCKS 5"),
            (&[5, 0, 5, 0, 0, 9], "something that is not SOCKS 5"),
        ] {
            assert_eq!(talk(name(), None, &[answers]).1, Err(says.to_owned()));
        }
        let (_, ended) = talk(name(), Some(("a", "b")), &[&[5, 2], &[1, 1]]);
        assert_eq!(ended, Err("that user or password are wrong".to_owned()));
        assert!(Socks::new(Destination::Name("x".repeat(256), 1), None).is_err());
        assert!(Socks::new(name(), Some((String::new(), String::new()))).is_err());
    }
}
