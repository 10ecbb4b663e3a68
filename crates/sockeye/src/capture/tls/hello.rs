//! What the first messages of both sides say: which version, which suite, and the random values that keys are made of.

use std::fmt::Write as _;

/// What a client begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientHello {
    pub(super) random: [u8; 32],
}

/// What a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerHello {
    pub(super) version: Version,
    pub(super) random: [u8; 32],
    pub(super) suite: u16,
    /// It asks the client to begin again.
    pub(super) is_retry: bool,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1_2,
    V1_3,
    /// An older one, by its minor number.
    Old(u8),
}

/// The random value of a server that asks the client to begin again: SHA-256 of "HelloRetryRequest" (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// The extension that says which version it really is.
const SUPPORTED_VERSIONS: u16 = 43;

impl ClientHello {
    /// Reads the body of the message.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        Some(Self { random: *body.get(2..)?.first_chunk()? })
    }

    /// How a key log names the session.
    pub(super) fn name(&self) -> String {
        let mut name = String::new();
        for byte in self.random {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

impl ServerHello {
    /// Reads the body of the message.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let (&[major, minor], rest) = body.split_first_chunk()?;
        let (random, rest) = rest.split_first_chunk()?;
        let (&session, rest) = rest.split_first()?;
        let (suite, rest) = rest.get(usize::from(session)..)?.split_first_chunk()?;
        let mut version = match (major, minor) {
            (3, 3) => Version::V1_2,
            (3, minor) => Version::Old(minor),
            _ => return None,
        };
        // Behind the compression stand the extensions, if there are any.
        let mut extensions = rest.get(3..).unwrap_or_default();
        while let [a, b, c, d, more @ ..] = extensions {
            let (kind, length) = (u16::from_be_bytes([*a, *b]), usize::from(u16::from_be_bytes([*c, *d])));
            if kind == SUPPORTED_VERSIONS && more.starts_with(&[3, 4]) {
                version = Version::V1_3;
            }
            extensions = more.get(length..).unwrap_or_default();
        }
        Some(Self { version, random: *random, suite: u16::from_be_bytes(*suite), is_retry: *random == RETRY })
    }
}
