//! Key logs, as SSLKEYLOGFILE has programs write them: a line for each secret, with a label and the client's random value.

use std::collections::HashMap;

/// Secrets that are kept, at most.
const MOST: usize = 1_000_000;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Label {
    /// The master secret of TLS 1.2.
    Master,
    ClientEarly,
    ClientHandshake,
    ServerHandshake,
    Client,
    Server,
}

impl Label {
    fn of(word: &[u8]) -> Option<Self> {
        match word {
            b"CLIENT_RANDOM" => Some(Self::Master),
            b"CLIENT_EARLY_TRAFFIC_SECRET" => Some(Self::ClientEarly),
            b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Some(Self::ClientHandshake),
            b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Some(Self::ServerHandshake),
            b"CLIENT_TRAFFIC_SECRET_0" => Some(Self::Client),
            b"SERVER_TRAFFIC_SECRET_0" => Some(Self::Server),
            _ => None,
        }
    }
}

/// The secrets of TLS sessions.
#[derive(Default)]
pub struct KeyLog {
    secrets: HashMap<(Label, [u8; 32]), Vec<u8>>,
}

impl std::fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // They are never shown.
        write!(f, "KeyLog({} secrets)", self.secrets.len())
    }
}

impl KeyLog {
    /// Takes the lines of a log; what is no secret is skipped. Gives how many were.
    pub fn read(&mut self, lines: &[u8]) -> usize {
        let mut count = 0;
        for line in lines.split(|&byte| byte == b'\n') {
            let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let (Some(label), Some(random), Some(secret), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            let (Some(label), Some(random), Some(secret)) = (Label::of(label), unhex(random), unhex(secret)) else {
                continue;
            };
            if let Ok(random) = random.try_into()
                && self.secrets.len() < MOST
                && secret.len() <= 64
            {
                self.secrets.insert((label, random), secret);
                count += 1;
            }
        }
        count
    }

    pub(super) fn secret(&self, label: Label, random: [u8; 32]) -> Option<&[u8]> {
        self.secrets.get(&(label, random)).map(Vec::as_slice)
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_secrets_are_taken_and_the_rest_is_skipped() {
        let random = "ab".repeat(32);
        let text = format!(
            "# SSL/TLS secrets log file\nCLIENT_RANDOM {random} 0102\r\nSERVER_TRAFFIC_SECRET_0  {random}  ff\n\
             EXPORTER_SECRET {random} 00\nCLIENT_RANDOM {random}\nCLIENT_RANDOM abcd 00\nCLIENT_RANDOM {random} 0\nCLIENT_RANDOM {random} zz"
        );
        let mut log = KeyLog::default();
        assert_eq!(log.read(text.as_bytes()), 2);
        assert_eq!(log.secret(Label::Master, [0xab; 32]), Some(&[1, 2][..]));
        assert_eq!(log.secret(Label::Server, [0xab; 32]), Some(&[0xff][..]));
        assert_eq!(log.secret(Label::Client, [0xab; 32]), None);
        assert_eq!(format!("{log:?}"), "KeyLog(2 secrets)");
    }
}
