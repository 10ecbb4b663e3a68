//! Who a server is: a certificate and its key, given or made for one run.

use std::fmt;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, ServerConnection};

use super::keys::IdentityFiles;
use super::trust::client_verifier;
use super::{TlsError, fingerprint, provider};
use crate::sys::hostname::hostname;

/// A certificate and its key.
///
/// Without files it is made when it is first needed: self-signed for `localhost` and the loopback addresses, and gone
/// with the process. A client knows it by its fingerprint.
#[derive(Debug, Clone, Default)]
pub struct Identity(Arc<OnceLock<Ready>>);

#[derive(Debug)]
struct Ready {
    config: Arc<ServerConfig>,
    pem: String,
    fingerprint: String,
    is_made: bool,
    /// Which clients are believed.
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Identity {
    /// One that is made when it is needed.
    #[must_use]
    pub fn throw_away() -> Self {
        Self::default()
    }

    /// That of two files in PEM form: the certificate with those that lead to its authority behind it, and the key.
    ///
    /// # Errors
    /// A file cannot be read or holds something else, the two do not belong together, or everybody may read the key.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = IdentityFiles { certificate: certificate.to_owned(), key: Some(key.to_owned()), passphrase: None };
        Self::of_files(&files)
    }

    /// That of files, where the key may stand beside the certificate.
    pub(super) fn of_files(files: &IdentityFiles) -> Result<Self, TlsError> {
        let certificate = &files.certificate;
        let (chain, key_der) = files.read()?;
        let text =
            std::fs::read(certificate).map_err(|error| TlsError::unusable(certificate, &crate::net::words(&error)))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let ready = Ready::new(chain, key_der, text, false).map_err(|error| {
            let key = files.key.as_ref().unwrap_or(certificate);
            TlsError::unusable(certificate, &format!("it cannot be used with the key {}: {error}", key.display()))
        })?;
        Ok(Self(Arc::new(OnceLock::from(ready))))
    }

    /// The same, that asks each client for a certificate, and believes those that one of these authorities has signed for.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificate; no certificate of our own can be made.
    pub fn asking(&self, authorities: &Path) -> Result<Self, TlsError> {
        self.asking_whom(Arc::new(client_verifier(authorities)?))
    }

    fn asking_whom(&self, clients: Arc<dyn ClientCertVerifier>) -> Result<Self, TlsError> {
        let ready = self.ready()?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::local(error.to_string()))?
            .with_client_cert_verifier(Arc::clone(&clients))
            .with_cert_resolver(Arc::clone(&ready.config.cert_resolver));
        let ready = Ready {
            config: Arc::new(without_tickets(config)),
            pem: ready.pem.clone(),
            fingerprint: ready.fingerprint.clone(),
            is_made: ready.is_made,
            clients: Some(clients),
        };
        Ok(Self(Arc::new(OnceLock::from(ready))))
    }

    /// The same, that asks clients as another does.
    pub(super) fn asking_as(self, other: &Self) -> Result<Self, TlsError> {
        match other.0.get().and_then(|other| other.clients.clone()) {
            Some(clients) => self.asking_whom(clients),
            None => Ok(self),
        }
    }

    /// `sha256:` and the digest of the certificate in hex.
    ///
    /// # Errors
    /// No certificate can be made.
    pub fn fingerprint(&self) -> Result<String, TlsError> {
        self.ready().map(|ready| ready.fingerprint.clone())
    }

    /// The certificate in PEM form, for clients that are to trust it.
    ///
    /// # Errors
    /// No certificate can be made.
    pub fn pem(&self) -> Result<String, TlsError> {
        self.ready().map(|ready| ready.pem.clone())
    }

    /// Whether it lives no longer than the process, so that its fingerprint is worth telling.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.0.get().is_none_or(|ready| ready.is_made)
    }

    /// The server's side of a session, inside which one of these protocols is to be spoken (RFC 7301); none: it is not asked for.
    pub(crate) fn server(&self, alpn: &[String]) -> Result<ServerConnection, TlsError> {
        let mut config = Arc::clone(&self.ready()?.config);
        if !alpn.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        }
        ServerConnection::new(config).map_err(|error| TlsError::local(error.to_string()))
    }

    /// The server's side of a session that speaks HTTP (RFC 7301).
    pub(crate) fn web_server(&self) -> Result<ServerConnection, TlsError> {
        let mut config = ServerConfig::clone(&self.ready()?.config);
        config.send_tls13_tickets = WEB_TICKETS;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        ServerConnection::new(Arc::new(config)).map_err(|error| TlsError::local(error.to_string()))
    }

    /// How sessions are to be held; they may have to be of 1.3.
    pub(super) fn config(&self, only_tls13: bool) -> Result<ServerConfig, TlsError> {
        let ready = self.ready()?;
        if !only_tls13 {
            return Ok(ServerConfig::clone(&ready.config));
        }
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| TlsError::local(error.to_string()))?;
        let builder = match &ready.clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
            None => builder.with_no_client_auth(),
        };
        Ok(without_tickets(builder.with_cert_resolver(Arc::clone(&ready.config.cert_resolver))))
    }

    fn ready(&self) -> Result<&Ready, TlsError> {
        if let Some(ready) = self.0.get() {
            return Ok(ready);
        }
        let made = make().map_err(|error| TlsError::local(error.to_string()).caused_by(error))?;
        Ok(self.0.get_or_init(|| made))
    }
}

impl Ready {
    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        pem: String,
        is_made: bool,
    ) -> Result<Self, rustls::Error> {
        let fingerprint = chain.first().map_or_else(String::new, |certificate| fingerprint(certificate));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Self { config: Arc::new(without_tickets(config)), pem, fingerprint, is_made, clients: None })
    }
}

/// Tickets for each client of the web, which comes again and again, and reads what it is told: as many as OpenSSL gives.
const WEB_TICKETS: usize = 2;

/// Any other client may only send, and read nothing: a ticket (RFC 8446, section 4.6.1) that is unread when it closes makes
/// that close a reset, which throws away what it has sent and we have not got.
fn without_tickets(mut config: ServerConfig) -> ServerConfig {
    config.send_tls13_tickets = 0;
    config
}

/// Why no certificate can be made for a run.
#[derive(Debug)]
enum MakeError {
    /// The pair of keys or the certificate.
    Certificate(rcgen::Error),
    /// The key is of a form that sessions do not take.
    Key(&'static str),
    /// Sessions do not take the two together.
    Session(rustls::Error),
}

impl fmt::Display for MakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no certificate can be made: ")?;
        match self {
            Self::Certificate(error) => error.fmt(f),
            Self::Key(why) => f.write_str(why),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate(error) => Some(error),
            Self::Key(_) => None,
            Self::Session(error) => Some(error),
        }
    }
}

impl From<rcgen::Error> for MakeError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error)
    }
}

fn make() -> Result<Ready, MakeError> {
    let parameters = parameters()?;
    let signing = rcgen::KeyPair::generate()?;
    let made = parameters.self_signed(&signing)?;
    let key = PrivateKeyDer::try_from(signing.serialize_der()).map_err(MakeError::Key)?;
    Ready::new(vec![made.der().clone()], key, made.pem(), true).map_err(MakeError::Session)
}

/// Clients refuse certificates that hold for longer.
const DAYS: u64 = 397;
const DAY: u64 = 24 * 60 * 60;

/// What the certificate of a run says: the names of this machine, for a year, and who made it.
fn parameters() -> Result<rcgen::CertificateParams, rcgen::Error> {
    let mut parameters = rcgen::CertificateParams::new(names())?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "sockeye, for one run");
    parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "sockeye");
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let today = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / DAY);
    // A client's clock may be behind ours.
    let yesterday = today.saturating_sub(1);
    let date = |days: u64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(days * DAY);
    parameters.not_before = date(yesterday);
    parameters.not_after = date(yesterday + DAYS - 1);
    Ok(parameters)
}

/// Those under which clients on this machine and beside it know it. One that a certificate cannot hold is left out.
fn names() -> Vec<String> {
    let mut names = ["localhost", "*.localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let own = hostname().unwrap_or_default().to_ascii_lowercase();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if !own.is_empty() && own != "localhost" && own.bytes().all(is_name) {
        if !own.contains('.') {
            names.push(format!("{own}.local"));
        }
        names.push(own);
    }
    // Nothing is sent: the system only says from where it would be.
    for (from, to) in [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")] {
        let address = UdpSocket::bind(from).and_then(|socket| socket.connect(to).and_then(|()| socket.local_addr()));
        if let Ok(address) = address
            && !address.ip().is_loopback()
            && !address.ip().is_unspecified()
        {
            names.push(address.ip().to_string());
        }
    }
    names
}
