//! A certificate and its key, as files have them: PEM (RFC 7468), perhaps under a passphrase (RFC 5958), or both in one
//! archive (PKCS #12, RFC 7292).

use std::fmt;
use std::path::{Path, PathBuf};

use p12_keystore::KeyStore;
use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::der::Decode;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::TlsError;
use crate::file::read_secret;

/// Where a certificate and its key are.
#[derive(Clone)]
pub struct IdentityFiles {
    /// The certificate with those that lead to its authority behind it, or an archive with the key in it.
    pub certificate: PathBuf,
    /// The key, if it is in a file of its own.
    pub key: Option<PathBuf>,
    /// What opens the key or the archive.
    pub passphrase: Option<String>,
}

impl fmt::Debug for IdentityFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityFiles")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A chain of certificates and the key of the first.
pub(super) type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl IdentityFiles {
    /// Reads both.
    ///
    /// # Errors
    /// A file cannot be read, holds something else, or the passphrase does not open it.
    pub(super) fn read(&self) -> Result<Pair, TlsError> {
        let path = &self.certificate;
        let holds_key = self.key.is_none();
        let bytes = if holds_key {
            read_secret(path, "this key").map_err(|error| TlsError::unusable(path, &crate::net::words(&error)))?
        } else {
            std::fs::read(path).map_err(|error| TlsError::unusable(path, &crate::net::words(&error)))?
        };
        // DER begins with a SEQUENCE (X.690, section 8.9), text never does.
        if holds_key && bytes.first() == Some(&0x30) {
            return self.archive(&bytes);
        }
        let chain = certificates(&bytes, path)?;
        match &self.key {
            None => Ok((chain, self.key(&bytes, path)?)),
            Some(key) => {
                let bytes = read_secret(key, "this key")
                    .map_err(|error| TlsError::unusable(key, &crate::net::words(&error)))?;
                Ok((chain, self.key(&bytes, key)?))
            }
        }
    }

    fn archive(&self, bytes: &[u8]) -> Result<Pair, TlsError> {
        let path = &self.certificate;
        let passphrase = self.passphrase.as_deref().unwrap_or_default();
        let store = KeyStore::from_pkcs12(bytes, passphrase).map_err(|error| {
            use p12_keystore::error::Error;
            let why = match (error, &self.passphrase) {
                (Error::MacError(_), None) => "this PKCS #12 archive wants a passphrase: --pass @FILE".to_owned(),
                (Error::MacError(_), Some(_)) => {
                    "the passphrase does not open this PKCS #12 archive (--pass)".to_owned()
                }
                (error, _) => format!("it is no PKCS #12 archive that can be read: {error}"),
            };
            TlsError::unusable(path, &why)
        })?;
        let (_, pair) =
            store.private_key_chain().ok_or_else(|| TlsError::unusable(path, "this archive holds no key"))?;
        let chain: Vec<_> =
            pair.chain().iter().map(|certificate| CertificateDer::from(certificate.as_der().to_vec())).collect();
        if chain.is_empty() {
            return Err(TlsError::unusable(path, "this archive holds no certificate for its key"));
        }
        Ok((chain, PrivatePkcs8KeyDer::from(pair.key().to_vec()).into()))
    }

    fn key(&self, text: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
        if let Some(sealed) = sealed(text) {
            let Some(passphrase) = &self.passphrase else {
                return Err(TlsError::unusable(path, "this key wants a passphrase: --pass @FILE"));
            };
            let opened = EncryptedPrivateKeyInfo::from_der(&sealed)
                .map_err(|error| error.to_string())
                .and_then(|sealed| sealed.decrypt(passphrase).map_err(|error| error.to_string()));
            return match opened {
                Ok(opened) => Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into()),
                Err(why) => {
                    Err(TlsError::unusable(path, &format!("the passphrase does not open this key (--pass): {why}")))
                }
            };
        }
        if contains(text, b"Proc-Type: 4,ENCRYPTED") {
            let why = "this key is encrypted in the old way of OpenSSL; `openssl pkcs8 -topk8 -in KEY -out NEW` makes one \
                       that can be read";
            return Err(TlsError::unusable(path, why));
        }
        PrivateKeyDer::from_pem_slice(text)
            .map_err(|error| TlsError::unusable(path, &format!("it holds no key in PEM form: {error}")))
    }
}

/// The certificates of a text, in its order.
pub(super) fn certificates(text: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|error| TlsError::unusable(path, &error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::unusable(path, "it holds no certificate in PEM form"));
    }
    Ok(chain)
}

/// The first encrypted key of a text (RFC 7468, section 11), of which rustls knows nothing.
fn sealed(text: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine;
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let text = std::str::from_utf8(text).ok()?;
    let (_, behind) = text.split_once(BEGIN)?;
    let (inside, _) = behind.split_once(END)?;
    let inside: String = inside.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(inside).ok()
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(text, what).is_some()
}
