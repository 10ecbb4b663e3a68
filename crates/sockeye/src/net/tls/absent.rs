//! What stands for TLS where the crate is built without it: no session ever begins, and a caller that wants one is told why.

use std::sync::Arc;

use super::TlsError;
use crate::address::TlsOptions;

fn missing() -> TlsError {
    TlsError::local("`starttls` needs TLS, which this build of sockeye has not: turn on its feature `tls`".to_owned())
}

/// The server's certificate: none, without TLS.
#[derive(Debug, Clone, Default)]
pub struct Identity;

impl Identity {
    /// One that is made when it is needed.
    #[must_use]
    pub fn throw_away() -> Self {
        Self
    }

    /// The same, that asks each client for a certificate.
    ///
    /// # Errors
    /// Always: there is no TLS.
    pub fn asking(&self, _: &std::path::Path) -> Result<Self, TlsError> {
        Err(missing())
    }

    /// # Errors
    /// Always: there is no TLS.
    pub fn fingerprint(&self) -> Result<String, TlsError> {
        Err(missing())
    }

    /// Whether it lives no longer than the process.
    #[must_use]
    pub fn is_made(&self) -> bool {
        true
    }
}

/// Which certificates are believed: none, without TLS.
#[derive(Debug, Clone, Default)]
pub struct Trust;

impl Trust {
    /// What the system trusts.
    #[must_use]
    pub fn system() -> Self {
        Self
    }

    /// What the options of an address say.
    ///
    /// # Errors
    /// Always: there is no TLS.
    pub fn of_address(_: &TlsOptions) -> Result<Self, TlsError> {
        Err(missing())
    }

    /// The same.
    ///
    /// # Errors
    /// Always: there is no TLS.
    pub fn of_address_or(_: &TlsOptions, _: Option<Self>) -> Result<Self, TlsError> {
        Err(missing())
    }

    /// Only the certificate with this fingerprint.
    ///
    /// # Errors
    /// Always: there is no TLS.
    pub fn pinned(_: &str) -> Result<Self, TlsError> {
        Err(missing())
    }
}

/// Hears the secrets of sessions, of which there are none.
pub(crate) trait Secrets: std::fmt::Debug + Send + Sync {
    fn tell(&self, label: &str, random: &[u8], secret: &[u8]);
}

/// The client's side of no session.
#[derive(Debug, Clone)]
pub(crate) enum TlsClient {}

impl TlsClient {
    pub(crate) fn new(_: &TlsOptions, _: &str, _: Option<Arc<dyn Secrets>>) -> Result<Self, TlsError> {
        Err(missing())
    }
}

/// The server's side of no session.
#[derive(Debug, Clone)]
pub(crate) enum TlsServer {}

impl TlsServer {
    pub(crate) fn new(_: &TlsOptions, _: &Identity, _: Option<Arc<dyn Secrets>>) -> Result<Self, TlsError> {
        Err(missing())
    }

    pub(crate) fn fingerprint(&self) -> Option<&str> {
        match *self {}
    }
}

/// A session that is never made.
#[derive(Debug)]
pub(crate) enum Session {}

impl Session {
    pub(crate) fn client(_: &Trust, _: &str, _: &[String]) -> Result<Self, TlsError> {
        Err(missing())
    }

    pub(crate) fn server(_: &Identity, _: &[String]) -> Result<Self, TlsError> {
        Err(missing())
    }

    pub(crate) fn web_server(_: &Identity) -> Result<Self, TlsError> {
        Err(missing())
    }

    pub(crate) fn of_client(client: &TlsClient) -> Result<Self, TlsError> {
        match *client {}
    }

    pub(crate) fn of_server(server: &TlsServer) -> Result<Self, TlsError> {
        match *server {}
    }

    pub(crate) fn that_ends(self) -> Self {
        match self {}
    }

    pub(crate) fn may_end(&self) -> bool {
        match *self {}
    }

    pub(crate) fn behind(self) -> Vec<u8> {
        match self {}
    }

    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match *self {}
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(crate) fn has_ended(&self) -> bool {
        match *self {}
    }

    pub(crate) fn receive(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), TlsError> {
        match *self {}
    }

    pub(crate) fn memory(&self) -> usize {
        match *self {}
    }

    pub(crate) fn send(&mut self, _: &[u8], _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn end(&mut self, _: &mut Vec<u8>) {
        match *self {}
    }
}
