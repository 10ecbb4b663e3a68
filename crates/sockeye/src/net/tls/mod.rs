//! TLS by rustls: which certificates we trust, and what is wrong with a peer in the words of people. No type of rustls leaves the crate.
//!
//! Without the feature `tls` the types are there and do nothing: code that needs a session is told that there is none.
//!
//! ```
//! # #[cfg(feature = "tls")] {
//! use sockeye::net::tls::{Identity, Trust};
//!
//! let server = Identity::throw_away();
//! let trust = Trust::pinned(&server.fingerprint()?)?;
//! # drop(trust);
//! # }
//! # Ok::<(), sockeye::net::tls::TlsError>(())
//! ```

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod endpoint;
mod error;
#[cfg(feature = "tls")]
mod identity;
#[cfg(feature = "tls")]
mod keys;
#[cfg(feature = "tls")]
mod reason;
#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls")]
mod trust;
#[cfg(feature = "tls")]
mod verifier;

#[cfg(not(feature = "tls"))]
pub use absent::{Identity, Trust};
#[cfg(not(feature = "tls"))]
pub(crate) use absent::{Secrets, Session, TlsClient, TlsServer};
#[cfg(feature = "tls")]
pub(crate) use endpoint::{Secrets, TlsClient, TlsServer};
pub use error::{TlsError, TlsErrorKind};
#[cfg(feature = "tls")]
pub use identity::Identity;
#[cfg(feature = "tls")]
pub use keys::IdentityFiles;
#[cfg(feature = "tls")]
pub(crate) use session::Session;
#[cfg(feature = "tls")]
pub use trust::{Trust, Version};

/// Bytes that cannot be guessed.
#[cfg(feature = "tls")]
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Where the system gives none, handshakes of TLS fail too.
    let _ = provider().secure_random.fill(&mut bytes);
    bytes
}

/// What does the cryptography.
#[cfg(feature = "tls")]
fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The SHA-256 fingerprint of a certificate, as it is written for people: `sha256:` and small hex digits.
#[cfg(feature = "tls")]
fn fingerprint(certificate: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .map(|suite| suite.common.hash_provider.hash(certificate));
    let mut text = "sha256:".to_owned();
    for byte in digest.iter().flat_map(|digest| digest.as_ref()) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
