//! One session, without a socket: what came goes in, what is to be sent comes out. The code that has the socket drives it.

use std::io::{Read, Write};

use rustls::Connection;

use super::{Identity, TlsClient, TlsError, TlsServer, Trust};

/// What a session takes before anything came, and the most that it keeps of what came (a message of a handshake is not
/// longer than this), in bytes.
const BASE: usize = 12 * 1024;
const MOST: usize = 64 * 1024;

/// Either side of a TLS session.
pub(crate) struct Session {
    inner: Box<Connection>,
    /// The peer that messages name.
    peer: String,
    has_ended: bool,
    /// Bytes that came since the last that meant something: the session keeps them.
    buffered: usize,
    /// Where clear text may follow: where records end, and what came behind the last.
    records: Option<Box<Records>>,
}

/// Where the records of a session end (RFC 8446, section 5.1), so that what follows the last of them is told apart.
#[derive(Debug, Default)]
struct Records {
    head: [u8; 5],
    /// Bytes of the head that came, and of the rest that are still to come.
    came: usize,
    left: usize,
    behind: Vec<u8>,
}

impl Records {
    /// How many of these bytes are of the record at hand.
    fn piece(&mut self, bytes: &[u8]) -> usize {
        let mut length = 0;
        while self.came < self.head.len() && length < bytes.len() {
            self.head[self.came] = bytes[length];
            (self.came, length) = (self.came + 1, length + 1);
            if self.came == self.head.len() {
                self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
            }
        }
        let rest = self.left.min(bytes.len() - length);
        self.left -= rest;
        if self.came == self.head.len() && self.left == 0 {
            self.came = 0;
        }
        length + rest
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Session {
    /// The client's side; the certificate must be for the host.
    pub(crate) fn client(trust: &Trust, host: &str, alpn: &[String]) -> Result<Self, TlsError> {
        if alpn.is_empty() {
            return Ok(Self::new(Connection::from(trust.session(host)?), host));
        }
        let alpn: Vec<&[u8]> = alpn.iter().map(String::as_bytes).collect();
        Ok(Self::new(Connection::from(trust.client(host, &alpn)?), host))
    }

    /// The server's side.
    pub(crate) fn server(identity: &Identity, alpn: &[String]) -> Result<Self, TlsError> {
        Ok(Self::new(Connection::from(identity.server(alpn)?), "the client"))
    }

    /// The server's side of one that speaks HTTP inside.
    pub(crate) fn web_server(identity: &Identity) -> Result<Self, TlsError> {
        Ok(Self::new(Connection::from(identity.web_server()?), "the client"))
    }

    /// The client's side, as an address asks for it.
    pub(crate) fn of_client(client: &TlsClient) -> Result<Self, TlsError> {
        Ok(Self::new(Connection::from(client.connection()?), &client.host))
    }

    /// The server's side, likewise.
    pub(crate) fn of_server(server: &TlsServer) -> Result<Self, TlsError> {
        Ok(Self::new(Connection::from(server.connection()?), "the client"))
    }

    fn new(mut inner: Connection, peer: &str) -> Self {
        // What the socket does not take is bounded by the code that has the socket.
        inner.set_buffer_limit(None);
        Self { inner: Box::new(inner), peer: peer.to_owned(), has_ended: false, buffered: 0, records: None }
    }

    /// One behind whose end clear text may follow.
    pub(crate) fn that_ends(self) -> Self {
        Self { records: Some(Box::default()), ..self }
    }

    /// Whether it is such a one.
    pub(crate) fn may_end(&self) -> bool {
        self.records.is_some()
    }

    /// What came behind its end.
    pub(crate) fn behind(self) -> Vec<u8> {
        self.records.map_or_else(Vec::new, |records| records.behind)
    }

    /// The protocol that both agreed to speak inside (RFC 7301).
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.inner.alpn_protocol()
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    /// Whether the peer has said that it says no more (close_notify; RFC 8446, section 6.1).
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes bytes from the socket, and adds what they mean to `clear`.
    ///
    /// # Errors
    /// The peer breaks the protocol or is not to be believed. There may be something to send all the same: an alert.
    pub(crate) fn receive(&mut self, mut bytes: &[u8], clear: &mut Vec<u8>) -> Result<(), TlsError> {
        while let Some(records) = &mut self.records {
            if self.has_ended {
                records.behind.extend_from_slice(bytes);
                return Ok(());
            }
            let (piece, rest) = bytes.split_at(records.piece(bytes));
            if rest.is_empty() {
                break;
            }
            self.take(piece, clear)?;
            bytes = rest;
        }
        self.take(bytes, clear)
    }

    fn take(&mut self, mut bytes: &[u8], clear: &mut Vec<u8>) -> Result<(), TlsError> {
        self.buffered += bytes.len();
        while !bytes.is_empty() && !self.has_ended {
            self.inner.read_tls(&mut bytes).map_err(|error| TlsError::local(error.to_string()))?;
            let processed = self.inner.process_new_packets();
            let state = match processed {
                Ok(state) => state,
                Err(error) => {
                    // What came before it is good. Behind that the reader says that there is no more.
                    let _ = self.inner.reader().read_to_end(clear);
                    return Err(TlsError::of(&error, &self.peer));
                }
            };
            let there = state.plaintext_bytes_to_read();
            self.has_ended = state.peer_has_closed();
            if there > 0 {
                self.buffered = 0;
            }
            let mut reader = self.inner.reader().take(there as u64);
            reader.read_to_end(clear).map_err(|error| TlsError::local(error.to_string()))?;
        }
        Ok(())
    }

    /// About how many bytes of memory it takes: rustls tells of none.
    pub(crate) fn memory(&self) -> usize {
        BASE + self.buffered.min(MOST) + self.records.as_ref().map_or(0, |records| records.behind.capacity())
    }

    /// Encrypts bytes, and adds everything that is to be sent to `wire`.
    pub(crate) fn send(&mut self, clear: &[u8], wire: &mut Vec<u8>) {
        // Neither can fail: the buffer has no bound, and a vector takes everything.
        let _ = self.inner.writer().write_all(clear);
        while self.inner.wants_write() {
            let _ = self.inner.write_tls(wire);
        }
    }

    /// Says that nothing more is said.
    pub(crate) fn end(&mut self, wire: &mut Vec<u8>) {
        self.inner.send_close_notify();
        self.send(&[], wire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves bytes between two sessions until both are quiet.
    fn join(client: &mut Session, server: &mut Session, piece: usize) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
        let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
        loop {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            client.send(&[], &mut there);
            for bytes in there.chunks(piece) {
                server.receive(bytes, &mut at_server)?;
            }
            server.send(&[], &mut back);
            for bytes in back.chunks(piece) {
                client.receive(bytes, &mut at_client)?;
            }
            if there.is_empty() && back.is_empty() {
                return Ok((at_client, at_server));
            }
        }
    }

    #[test]
    fn two_sessions_meet_by_a_fingerprint_and_by_nothing_else() {
        let identity = Identity::throw_away();
        let pin = identity.fingerprint().unwrap();
        let trusts = |trust: Trust| {
            let mut client = Session::client(&trust, "localhost", &[]).unwrap();
            let mut server = Session::server(&identity, &[]).unwrap();
            join(&mut client, &mut server, 1).map(|_| (client, server))
        };
        let (mut client, mut server) = trusts(Trust::pinned(&pin).unwrap()).unwrap();
        assert!(!client.is_handshaking() && !server.is_handshaking());
        let (mut wire, mut clear) = (Vec::new(), Vec::new());
        let long = vec![7; 200_000];
        client.send(&long, &mut wire);
        client.end(&mut wire);
        server.receive(&wire, &mut clear).unwrap();
        assert!(clear == long && server.has_ended());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), identity.pem().unwrap()).unwrap();
        assert!(trusts(Trust::only(&folder.path().join("ca.pem"))).is_ok());
        let other = Identity::throw_away().fingerprint().unwrap();
        let error = trusts(Trust::pinned(&other).unwrap()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("is not the one that --pin names: it is {pin}")), "{error}");
    }

    #[test]
    fn what_came_before_a_record_that_is_none_is_good() {
        let identity = Identity::throw_away();
        let trust = Trust::pinned(&identity.fingerprint().unwrap()).unwrap();
        let mut client = Session::client(&trust, "localhost", &[]).unwrap();
        let mut server = Session::server(&identity, &[]).unwrap();
        join(&mut client, &mut server, usize::MAX).unwrap();
        let (mut wire, mut clear) = (Vec::new(), Vec::new());
        let good = vec![7; 9000];
        client.send(&good, &mut wire);
        wire.extend_from_slice(&[0x17, 3, 3, 0, 32]);
        wire.extend_from_slice(&[0; 32]);
        assert!(server.receive(&wire, &mut clear).is_err());
        assert!(clear == good, "{} bytes", clear.len());
    }

    #[test]
    fn a_key_that_everybody_may_read_or_that_is_another_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let made = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let error = Identity::from_files(&cert, &key).unwrap_err().to_string();
        assert!(error.ends_with("everybody may read this key: chmod o-r"), "{error}");
        mode(0o600);
        assert!(!Identity::from_files(&cert, &key).unwrap().is_made());
        let other = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        assert!(Identity::from_files(&cert, &key).unwrap_err().to_string().contains("cannot be used with the key"));
        assert!(Identity::from_files(&key, &cert).is_err());
        assert!(Identity::from_files(&folder.path().join("none"), &key).is_err());
    }
}
