//! TLS as an address asks for it: made ready once, for all sessions of that address.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, KeyLog, ServerConfig, ServerConnection};

use super::{Identity, IdentityFiles, TlsError, Trust, Version};
use crate::address::TlsOptions;

/// Hears the secrets of sessions, so that a capture of what was sent can be read: they are given only to a caller that asks.
pub(crate) trait Secrets: std::fmt::Debug + Send + Sync {
    /// One secret, as a line of a key log file has it (draft-ietf-tls-keylogfile).
    fn tell(&self, label: &str, random: &[u8], secret: &[u8]);
}

#[derive(Debug)]
struct Log(Arc<dyn Secrets>);

impl KeyLog for Log {
    fn log(&self, label: &str, random: &[u8], secret: &[u8]) {
        self.0.tell(label, random, secret);
    }
}

/// The client's side of sessions with one server.
#[derive(Debug, Clone)]
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    pub(super) host: String,
}

impl Trust {
    /// What the options of an address say of its certificate, of ours, and of the version.
    ///
    /// # Errors
    /// The fingerprint is none.
    pub fn of_address(options: &TlsOptions) -> Result<Self, TlsError> {
        Self::of_address_or(options, None)
    }

    /// The same, where the authorities may have been named elsewhere: that goes before what the address says of it.
    ///
    /// # Errors
    /// As [`Trust::of_address`].
    pub fn of_address_or(options: &TlsOptions, named: Option<Self>) -> Result<Self, TlsError> {
        let trust = match (named, options) {
            (Some(named), _) => named,
            (_, TlsOptions { insecure: true, .. }) => Self::anyone(),
            (_, TlsOptions { pin: Some(pin), .. }) => Self::pinned(pin)?,
            (_, TlsOptions { ca: Some(path), .. }) => Self::only(path),
            _ => Self::system(),
        };
        let trust = if options.alpn.is_empty() { trust } else { trust.speaking(&options.alpn) };
        let trust = match &options.cert {
            Some(certificate) => trust.with_identity(files(options, certificate)),
            None => trust,
        };
        Ok(if options.only_tls13 { trust.at_least(Version::Tls13) } else { trust })
    }
}

impl TlsClient {
    /// One for a host, as the options say.
    ///
    /// # Errors
    /// A file is of no use, or no certificate can be for that name.
    pub(crate) fn new(options: &TlsOptions, host: &str, secrets: Option<Arc<dyn Secrets>>) -> Result<Self, TlsError> {
        let trust = Trust::of_address(options)?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError::local(format!("no certificate can be for `{host}`")))?;
        let mut config = (*trust.config()?).clone();
        if let Some(secrets) = secrets {
            config.key_log = Arc::new(Log(secrets));
        }
        Ok(Self { config: Arc::new(config), name, host: host.to_owned() })
    }

    pub(super) fn connection(&self) -> Result<ClientConnection, TlsError> {
        ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(|error| TlsError::local(error.to_string()))
    }
}

/// The server's side of sessions at one address.
#[derive(Debug, Clone)]
pub(crate) struct TlsServer {
    config: Arc<ServerConfig>,
    fingerprint: Option<String>,
}

impl TlsServer {
    /// Who the options name; without a certificate, the one that is made for this run.
    ///
    /// # Errors
    /// A file is of no use.
    pub(crate) fn new(
        options: &TlsOptions,
        made: &Identity,
        secrets: Option<Arc<dyn Secrets>>,
    ) -> Result<Self, TlsError> {
        let identity = match &options.cert {
            None => made.clone(),
            Some(certificate) => Identity::of_files(&files(options, certificate))?,
        };
        let identity = match &options.ca {
            Some(authorities) => identity.asking(authorities)?,
            None if options.cert.is_some() => identity.asking_as(made)?,
            None => identity,
        };
        let mut config = identity.config(options.only_tls13)?;
        config.alpn_protocols = options.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        if let Some(secrets) = secrets {
            config.key_log = Arc::new(Log(secrets));
        }
        let fingerprint = if identity.is_made() { Some(identity.fingerprint()?) } else { None };
        Ok(Self { config: Arc::new(config), fingerprint })
    }

    /// By what clients know a certificate that was made for this run.
    pub(crate) fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    pub(super) fn connection(&self) -> Result<ServerConnection, TlsError> {
        ServerConnection::new(Arc::clone(&self.config)).map_err(|error| TlsError::local(error.to_string()))
    }
}

fn files(options: &TlsOptions, certificate: &std::path::Path) -> IdentityFiles {
    IdentityFiles { certificate: certificate.to_owned(), key: options.key.clone(), passphrase: None }
}
