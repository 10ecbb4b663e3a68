//! A server whose very certificate is among those that are trusted. `openssl req -x509` makes such a certificate, which
//! signs itself, and calls it that of an authority; webpki then believes it for no server, and everybody else does.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use crate::wire::http::date;

/// Believes whom webpki believes, and whoever shows a certificate that was named itself, for its names and dates.
#[derive(Debug)]
pub(super) struct Named {
    webpki: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Named {
    pub(super) fn new(webpki: Arc<WebPkiServerVerifier>, certificates: Vec<CertificateDer<'static>>) -> Self {
        Self { webpki, certificates }
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.webpki.verify_server_cert(certificate, others, name, ocsp, now) {
            // rustls has no variant for it, only webpki's error as text; should that become another one, the test
            // `a_certificate_that_signs_itself_is_believed_where_it_is_named` (crates/cli/tests/certificates.rs) fails.
            Err(Error::InvalidCertificate(CertificateError::Other(why)))
                if why.0.to_string() == "CaUsedAsEndEntity"
                    && self.certificates.iter().any(|one| one == certificate) =>
            {
                is_valid(certificate, now)?;
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
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

/// Whether a certificate's time has come and is not over (RFC 5280, section 4.1.2.5).
fn is_valid(certificate: &[u8], now: UnixTime) -> Result<(), Error> {
    let (from, to) = validity(certificate).ok_or(CertificateError::BadEncoding)?;
    if now.as_secs() < from {
        return Err(CertificateError::NotValidYet.into());
    }
    if now.as_secs() > to {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// The first and the last second, counted from 1970.
fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    let (certificate, _) = value(certificate, SEQUENCE)?;
    let (mut rest, _) = value(certificate, SEQUENCE)?;
    // The version may be missing: then there are no names either.
    if let Some((_, behind)) = value(rest, VERSION) {
        rest = behind;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, rest) = value(rest, tag)?;
    }
    let (times, _) = value(rest, SEQUENCE)?;
    let (from, times) = time(times)?;
    let (to, _) = time(times)?;
    Some((from, to))
}

// Tags of DER (X.690, section 8.1.2).
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// A time, and what stands behind it.
fn time(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (text, rest, century) = match value(bytes, UTC_TIME) {
        Some((text, rest)) => (text, rest, if text.first()? >= &b'5' { "19" } else { "20" }),
        None => {
            let (text, rest) = value(bytes, GENERALIZED_TIME)?;
            (text, rest, "")
        }
    };
    let digits = format!("{century}{}", std::str::from_utf8(text).ok()?.strip_suffix('Z')?);
    if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits[from..to].parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if year < 1970 {
        return Some((0, rest));
    }
    Some((date::days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second, rest))
}

/// The contents of the first value, if it has this tag, and what stands behind it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        // So many bytes of length follow; a certificate needs three at most.
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
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
        assert_eq!(validity(certified.cert.der()), Some((from, to)));
        let at = |seconds| is_valid(certified.cert.der(), UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(at(from - 1), Err(CertificateError::NotValidYet.into()));
        assert_eq!((at(from), at(to)), (Ok(()), Ok(())));
        assert_eq!(at(to + 1), Err(CertificateError::Expired.into()));
    }

    #[test]
    fn what_is_no_certificate_has_no_dates() {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let der = certified.cert.der();
        for length in 0..80 {
            assert_eq!(validity(&der[..length]), None, "{length} bytes");
        }
        assert_eq!(validity(b"0\x80"), None);
        assert_eq!(validity(b"0\x84\xff\xff\xff\xff"), None);
    }
}
