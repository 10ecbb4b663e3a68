//! The keys of one direction, and records opened with them.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, KeyType, Prk};
use aws_lc_rs::tls_prf;

use super::hello::{ClientHello, ServerHello};
use super::key_log::{KeyLog, Label};

/// A cipher suite that is decrypted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suite {
    cipher: Cipher,
    hash: Hash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Aes128,
    Aes256,
    ChaCha,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
}

impl Suite {
    /// By its number: those of TLS 1.3, and of TLS 1.2 those that encrypt and authenticate at once, however keys are exchanged.
    pub(super) fn of(number: u16) -> Option<Self> {
        let (cipher, hash) = match number {
            0x1301 | 0x009c | 0x009e | 0x00a8 | 0x00aa | 0x00ac | 0xc02b | 0xc02d | 0xc02f | 0xc031 | 0xd001 => {
                (Cipher::Aes128, Hash::Sha256)
            }
            0x1302 | 0x009d | 0x009f | 0x00a9 | 0x00ab | 0x00ad | 0xc02c | 0xc02e | 0xc030 | 0xc032 | 0xd002 => {
                (Cipher::Aes256, Hash::Sha384)
            }
            0x1303 | 0xcca8..=0xccae => (Cipher::ChaCha, Hash::Sha256),
            _ => return None,
        };
        Some(Self { cipher, hash })
    }

    fn algorithm(self) -> &'static Algorithm {
        match self.cipher {
            Cipher::Aes128 => &AES_128_GCM,
            Cipher::Aes256 => &AES_256_GCM,
            Cipher::ChaCha => &CHACHA20_POLY1305,
        }
    }
}

/// What kind of suite another one is, in words.
pub(super) fn kind(number: u16) -> &'static str {
    match number {
        0x0004 | 0x0005 | 0xc007 | 0xc011 => "RC4",
        0x1304 | 0x1305 | 0xc09c..=0xc0af => "AES-CCM",
        0x002f..=0x0040 | 0x0067..=0x006d | 0xc003..=0xc00a | 0xc00d..=0xc01a | 0xc023..=0xc02a | 0xc035..=0xc038 => {
            "CBC, whose records are sealed in another way"
        }
        0x0041..=0x0046 | 0x0084..=0x0089 | 0x00ba..=0x00c5 | 0xc072..=0xc09b => "Camellia",
        0xc03c..=0xc071 => "ARIA",
        _ => "which is not known",
    }
}

/// What a record holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Bytes of a type.
    Content(u8, Vec<u8>),
    /// It is part of the handshake, whose keys are not known.
    OfHandshake,
    /// It is none of this session.
    Wrong,
}

/// The keys of one direction, in the order in which they are used.
#[derive(Debug)]
pub(super) struct Direction {
    keys: Vec<Key>,
    /// Which one the last record was sealed with.
    now: usize,
    /// Whether every record can be opened: the keys of the handshake are there too.
    has_all: bool,
    is_used: bool,
    has_opened: bool,
    /// Bytes of a message of the handshake that are in later records.
    rest_of_message: usize,
}

#[derive(Debug)]
struct Key {
    key: LessSafeKey,
    iv: Vec<u8>,
    /// The number of the next record.
    number: u64,
    /// TLS 1.3: what the next key is made of.
    next: Option<(Suite, Vec<u8>)>,
    nonce: NonceKind,
}

/// How the nonce of a record is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NonceKind {
    /// Of the record's number.
    Counted,
    /// Half of it stands in the record (RFC 5288).
    Explicit,
}

impl Direction {
    fn new(keys: Vec<Key>, has_all: bool) -> Self {
        Self { keys, now: 0, has_all, is_used: false, has_opened: false, rest_of_message: 0 }
    }

    /// What a client says at once to a server that it knows (RFC 8446, section 2.3). Its suite is that of the session before, so
    /// each is tried.
    pub(super) fn early(client: &ClientHello, log: &KeyLog) -> Option<Self> {
        let secret = log.secret(Label::ClientEarly, client.random)?;
        let suites = [0x1301, 0x1302, 0x1303].into_iter().filter_map(Suite::of);
        let keys = suites.filter_map(|suite| Key::of_1_3(suite, secret)).collect();
        Some(Self::new(keys, false))
    }

    /// Other keys come behind these.
    pub(super) fn goes_on(&mut self, mut behind: Self) {
        self.keys.append(&mut behind.keys);
        self.has_all = behind.has_all;
    }

    /// Both directions under TLS 1.3. The keys of the handshake are not needed, but tell its records from others.
    pub(super) fn of_1_3(suite: Suite, client: &ClientHello, log: &KeyLog) -> Option<[Self; 2]> {
        let of = |handshake, traffic| {
            let handshake = log.secret(handshake, client.random).and_then(|secret| Key::of_1_3(suite, secret));
            let traffic = Key::of_1_3(suite, log.secret(traffic, client.random)?)?;
            let has_all = handshake.is_some();
            Some(Self::new(handshake.into_iter().chain([traffic]).collect(), has_all))
        };
        Some([of(Label::ClientHandshake, Label::Client)?, of(Label::ServerHandshake, Label::Server)?])
    }

    /// Both directions under TLS 1.2 (RFC 5246, section 6.3).
    pub(super) fn of_1_2(suite: Suite, client: &ClientHello, server: &ServerHello, log: &KeyLog) -> Option<[Self; 2]> {
        let algorithm = match suite.hash {
            Hash::Sha256 => &tls_prf::P_SHA256,
            Hash::Sha384 => &tls_prf::P_SHA384,
        };
        let secret = tls_prf::Secret::new(algorithm, log.secret(Label::Master, client.random)?).ok()?;
        let length = suite.algorithm().key_len();
        let (iv, nonce) =
            if suite.cipher == Cipher::ChaCha { (12, NonceKind::Counted) } else { (4, NonceKind::Explicit) };
        let seed = [server.random, client.random].concat();
        let block = secret.derive(b"key expansion", &seed, 2 * (length + iv)).ok()?;
        let (keys, ivs) = block.as_ref().split_at_checked(2 * length)?;
        let of = |index: usize| {
            let key = LessSafeKey::new(UnboundKey::new(suite.algorithm(), &keys[index * length..][..length]).ok()?);
            let key = Key { key, iv: ivs[index * iv..][..iv].to_vec(), number: 0, next: None, nonce };
            Some(Self::new(vec![key], true))
        };
        Some([of(0)?, of(1)?])
    }

    /// Whether no record came for it.
    pub(super) fn is_unused(&self) -> bool {
        !self.is_used
    }

    /// Whether records came, and none could be opened.
    pub(super) fn is_closed(&self) -> bool {
        self.is_used && !self.has_opened
    }

    /// Opens a record, with the key at hand or a later one.
    pub(super) fn open(&mut self, head: &[u8], body: &[u8]) -> Opened {
        self.is_used = true;
        for at in self.now..self.keys.len() {
            let Some(opened) = self.keys[at].open(head, body) else { continue };
            (self.now, self.has_opened) = (at, true);
            let is_last = at + 1 == self.keys.len();
            if self.keys[at].next.is_none() {
                return Opened::Content(head[0], opened);
            }
            // The type stands behind the content, and zeros may behind it (RFC 8446, section 5.4).
            let Some(end) = opened.iter().rposition(|&byte| byte != 0) else { return Opened::Wrong };
            let (kind, mut bytes) = (opened[end], opened);
            bytes.truncate(end);
            if kind == 22 && is_last && self.updates(&bytes) {
                let key = self.keys[at].next.as_ref().and_then(|(suite, secret)| {
                    Key::of_1_3(*suite, &expand(*suite, secret, "traffic upd", secret.len())?)
                });
                if let Some(key) = key {
                    self.keys[at] = key;
                }
            }
            return Opened::Content(kind, bytes);
        }
        // Before the first record that opens may stand others whose keys are not known, and behind those of early data.
        if self.has_opened && (self.has_all || self.now + 1 == self.keys.len()) {
            Opened::Wrong
        } else {
            Opened::OfHandshake
        }
    }

    /// Whether messages of the handshake say that another key follows.
    fn updates(&mut self, mut bytes: &[u8]) -> bool {
        let skipped = self.rest_of_message.min(bytes.len());
        self.rest_of_message -= skipped;
        bytes = &bytes[skipped..];
        while let [kind, a, b, c, rest @ ..] = bytes {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            if *kind == 24 {
                return true;
            }
            match rest.get(length..) {
                Some(more) => bytes = more,
                None => {
                    self.rest_of_message = length - rest.len();
                    return false;
                }
            }
        }
        false
    }
}

impl Key {
    fn of_1_3(suite: Suite, secret: &[u8]) -> Option<Self> {
        let key = expand(suite, secret, "key", suite.algorithm().key_len())?;
        let key = LessSafeKey::new(UnboundKey::new(suite.algorithm(), &key).ok()?);
        let iv = expand(suite, secret, "iv", 12)?;
        Some(Self { key, iv, number: 0, next: Some((suite, secret.to_vec())), nonce: NonceKind::Counted })
    }

    /// Opens the next record, if it is sealed with this key.
    fn open(&mut self, head: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; 12];
        let sealed = match self.nonce {
            NonceKind::Explicit => {
                let (explicit, sealed) = body.split_first_chunk::<8>()?;
                nonce[..4].copy_from_slice(self.iv.get(..4)?);
                nonce[4..].copy_from_slice(explicit);
                sealed
            }
            NonceKind::Counted => {
                nonce.copy_from_slice(self.iv.get(..12)?);
                nonce[4..].iter_mut().zip(self.number.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
                body
            }
        };
        let mut aad = Vec::with_capacity(13);
        if self.next.is_some() {
            aad.extend_from_slice(head);
        } else {
            aad.extend_from_slice(&self.number.to_be_bytes());
            aad.extend_from_slice(&head[..3]);
            aad.extend_from_slice(&u16::try_from(sealed.len().checked_sub(16)?).ok()?.to_be_bytes());
        }
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.key.open_in_place(nonce, Aad::from(aad), &mut bytes).ok()?.len();
        bytes.truncate(length);
        self.number += 1;
        Some(bytes)
    }
}

/// So many bytes.
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label without a context (RFC 8446, section 7.1).
fn expand(suite: Suite, secret: &[u8], label: &str, length: usize) -> Option<Vec<u8>> {
    let algorithm = match suite.hash {
        Hash::Sha256 => hkdf::HKDF_SHA256,
        Hash::Sha384 => hkdf::HKDF_SHA384,
    };
    let mut info = u16::try_from(length).ok()?.to_be_bytes().to_vec();
    info.push(u8::try_from(6 + label.len()).ok()?);
    info.extend_from_slice(b"tls13 ");
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    let mut out = vec![0; length];
    Prk::new_less_safe(algorithm, secret).expand(&[&info], Bytes(length)).ok()?.fill(&mut out).ok()?;
    Some(out)
}
