//! Whether a server's certificate is believed: by webpki, which builds the chain, and where it is too strict or says too
//! little, here.
//!
//! `openssl req -x509` makes a certificate that signs itself, and calls it that of an authority. webpki believes it for no
//! server, and everybody else does if it is named itself.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::reason::OfClient;

/// Believes the servers that webpki believes, and one that shows a certificate that was named itself, for its names and dates.
#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    /// Those that were named.
    certificates: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(webpki: Arc<WebPkiServerVerifier>, certificates: Vec<CertificateDer<'static>>) -> Self {
        Self { webpki, certificates }
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.webpki.verify_server_cert(certificate, others, name, ocsp, now) {
            Err(Error::InvalidCertificate(why)) if is_named_itself(&why, certificate, &self.certificates) => {
                is_valid(certificate, now)?;
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(certificate, others, name, ocsp, now).map_err(|error| match error {
            // rustls gives the names as its own debugging text.
            Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, .. }) => {
                CertificateError::NotValidForNameContext { expected, presented: names(certificate) }.into()
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Believes the clients that webpki believes, and one that shows a certificate that was named itself, for its dates.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    webpki: Arc<dyn ClientCertVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ClientVerifier {
    pub(super) fn new(webpki: Arc<dyn ClientCertVerifier>, certificates: Vec<CertificateDer<'static>>) -> Self {
        Self { webpki, certificates }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.webpki.verify_client_cert(certificate, others, now) {
            Err(Error::InvalidCertificate(why)) if is_named_itself(&why, certificate, &self.certificates) => {
                is_valid(certificate, now)?;
                Ok(ClientCertVerified::assertion())
            }
            Err(Error::InvalidCertificate(why)) => {
                let who = subject(certificate);
                Err(CertificateError::Other(OtherError(Arc::new(OfClient { who, why }))).into())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether one is refused for nothing but that it calls itself an authority, and was named itself.
fn is_named_itself(why: &CertificateError, certificate: &CertificateDer<'_>, named: &[CertificateDer<'_>]) -> bool {
    let CertificateError::Other(other) = why else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        && named.iter().any(|one| one == certificate)
}

/// Who a certificate is of: `CN=ann, O=example`.
fn subject(certificate: &[u8]) -> String {
    let subject = X509Certificate::from_der(certificate).map(|(_, certificate)| certificate.subject().to_string());
    let subject = subject.unwrap_or_else(|_| "a certificate that cannot be read".to_owned());
    subject.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

/// Whether a certificate's time has come and is not over (RFC 5280, section 4.1.2.5).
fn is_valid(certificate: &[u8], now: UnixTime) -> Result<(), Error> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let (validity, now) = (certificate.validity(), i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    if now < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// The hosts that a certificate is for, in its order.
fn names(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return vec![] };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return vec![] };
    names.value.general_names.iter().filter_map(host).collect()
}

fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
        }
        // Names of people and folders, and bytes that are no text.
        other => Some(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_is_valid_from_its_first_second_to_its_last() {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        // What rcgen makes by default is valid from 1975 to 4096: one time in each form.
        let (from, to) = (157_766_400, 67_090_118_400);
        let at = |seconds| is_valid(certified.cert.der(), UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(at(from - 1), Err(CertificateError::NotValidYet.into()));
        assert_eq!((at(from), at(to)), (Ok(()), Ok(())));
        assert_eq!(at(to + 1), Err(CertificateError::Expired.into()));
    }

    #[test]
    fn what_is_no_certificate_has_no_dates_and_no_names() {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let der = certified.cert.der();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000));
        for bytes in (0..der.len()).map(|length| &der[..length]).chain([&b"0\x80"[..], b"0\x84\xff\xff\xff\xff"]) {
            assert_eq!(is_valid(bytes, now), Err(CertificateError::BadEncoding.into()), "{bytes:?}");
            assert!(names(bytes).is_empty(), "{bytes:?}");
        }
    }

    #[test]
    fn a_certificate_is_for_its_names_and_its_addresses() {
        let wanted = ["localhost", "*.example", "127.0.0.1", "::1"].map(str::to_owned);
        let certified = rcgen::generate_simple_self_signed(wanted.clone()).unwrap();
        assert_eq!(names(certified.cert.der()), wanted);
        let nameless = rcgen::generate_simple_self_signed([]).unwrap();
        assert!(names(nameless.cert.der()).is_empty());
    }
}
