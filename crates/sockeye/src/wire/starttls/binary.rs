//! Protocols of numbered messages: LDAP, PostgreSQL, MySQL.

use super::{Next, Refusal, shown, strange};

/// ExtendedRequest for 1.3.6.1.4.1.1466.20037 (RFC 4511, section 4.14.1), as message 1.
const LDAP_REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// Longest answer that is waited for.
const LDAP_LONGEST: usize = 32 * 1024;
/// SSLRequest (the protocol's chapter "Message Formats").
const POSTGRES_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];

pub(super) fn ldap(step: &mut usize, came: &mut Vec<u8>) -> Result<Next, Refusal> {
    if *step == 0 {
        *step = 1;
        return Ok(Next::Send(LDAP_REQUEST.to_vec()));
    }
    if came.first().is_some_and(|tag| *tag != 0x30) {
        return Err(strange(came));
    }
    let not_ldap = || Refusal::Strange("something that is no answer of LDAP".to_owned());
    let Some((header, length)) = came.get(1..).map(length_of).transpose()?.flatten() else { return Ok(Next::Wait) };
    let whole = 1 + header + length;
    if came.len() < whole {
        return Ok(Next::Wait);
    }
    let message: Vec<u8> = came.drain(..whole).collect();
    let message = &message[1 + header..];
    // The number of our request, then the ExtendedResponse and its result code.
    let Some(response) = message.strip_prefix(&[2, 1, 1, 0x78]) else { return Err(not_ldap()) };
    let (header, length) = length_of(response)?.ok_or_else(not_ldap)?;
    let result = response.get(header..header + length).ok_or_else(not_ldap)?;
    match result {
        [0x0a, 1, 0, ..] => Ok(Next::Secure),
        [0x0a, 1, code, ..] => Err(Refusal::Refused(format!("no, with the result code {code}"))),
        _ => Err(not_ldap()),
    }
}

/// A length in BER: how many bytes it takes itself, and what it is. None if it has not come.
fn length_of(bytes: &[u8]) -> Result<Option<(usize, usize)>, Refusal> {
    match bytes {
        [] => Ok(None),
        [length @ 0..=0x7f, ..] => Ok(Some((1, usize::from(*length)))),
        // Some servers write every length in four bytes.
        [count @ 0x81..=0x84, rest @ ..] => {
            let count = usize::from(count & 0x7f);
            let Some(digits) = rest.get(..count) else { return Ok(None) };
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            if length > LDAP_LONGEST {
                return Err(Refusal::Strange(format!("an answer of {length} bytes")));
            }
            Ok(Some((1 + count, length)))
        }
        _ => Err(Refusal::Strange("something that is no answer of LDAP".to_owned())),
    }
}

pub(super) fn postgres(step: &mut usize, came: &mut Vec<u8>) -> Result<Next, Refusal> {
    if *step == 0 {
        *step = 1;
        return Ok(Next::Send(POSTGRES_REQUEST.to_vec()));
    }
    match came.first() {
        None => Ok(Next::Wait),
        Some(b'S') => {
            came.remove(0);
            Ok(Next::Secure)
        }
        Some(b'N') => Err(Refusal::NotOffered),
        Some(b'E') => Err(Refusal::Refused("that there was an error (E)".to_owned())),
        Some(_) => Err(strange(came)),
    }
}

/// What a client can do, of which only TLS matters here: PROTOCOL_41, SSL, SECURE_CONNECTION, PLUGIN_AUTH.
const MYSQL_ABILITIES: u32 = 0x200 | 0x800 | 0x8000 | 0x8_0000;
const MYSQL_TLS: u16 = 0x800;

pub(super) fn mysql(step: &mut usize, came: &mut Vec<u8>) -> Result<Next, Refusal> {
    if *step == 1 {
        // The request itself has no answer.
        return Ok(Next::Secure);
    }
    let not_mysql = || Refusal::Strange("something that is no greeting of MySQL".to_owned());
    let &[a, b, c, number, ..] = came.as_slice() else { return Ok(Next::Wait) };
    let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
    if number != 0 || length == 0 || length > 4096 {
        return Err(not_mysql());
    }
    if came.len() < 4 + length {
        return Ok(Next::Wait);
    }
    let packet: Vec<u8> = came.drain(..4 + length).collect();
    match packet[4..] {
        // An error, as of a host that may not connect: its code, and its words.
        [0xff, _, _, ref words @ ..] => return Err(Refusal::Refused(shown(words))),
        [10, ..] => {}
        _ => return Err(not_mysql()),
    }
    let version = memchr::memchr(0, &packet[5..]).ok_or_else(not_mysql)?;
    // Behind the version: the connection's number, eight bytes of salt, a zero.
    let at = 5 + version + 1 + 4 + 8 + 1;
    let abilities = packet.get(at..at + 2).ok_or_else(not_mysql)?;
    if u16::from_le_bytes([abilities[0], abilities[1]]) & MYSQL_TLS == 0 {
        return Err(Refusal::NotOffered);
    }
    *step = 1;
    let mut request = vec![32, 0, 0, 1];
    request.extend(MYSQL_ABILITIES.to_le_bytes());
    // The largest packet, UTF-8, and nothing.
    request.extend((1_u32 << 24).to_le_bytes());
    request.push(45);
    request.extend([0; 23]);
    Ok(Next::Send(request))
}

#[cfg(test)]
mod tests {
    use super::super::tests::talk;
    use super::super::{Refusal, Upgrade};

    #[test]
    fn ldap_is_asked_by_its_number_and_answers_with_a_code() {
        let yes: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(talk(Upgrade::Ldap, &[yes]).1, Ok(vec![]));
        // A length may be written the long way.
        let long = [&[0x30, 0x84, 0, 0, 0, 12][..], &yes[2..]].concat();
        assert_eq!(talk(Upgrade::Ldap, &[&long]).1, Ok(vec![]));
        assert!(talk(Upgrade::Ldap, &[&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]]).1.is_err());
        let long = [&[0x30, 0x82, 0, 13, 2, 1, 1, 0x78, 0x81, 7][..], &yes[7..]].concat();
        assert_eq!(talk(Upgrade::Ldap, &[&long]).1, Ok(vec![]));
        let no: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00";
        assert_eq!(talk(Upgrade::Ldap, &[no]).1, Err(Refusal::Refused("no, with the result code 2".to_owned())));
        for wrong in
            [&b"220 x"[..], b"\x30\x80\x00", b"\x30\x03\x02\x01\x02", b"\x30\x00", b"\x30\x05\x02\x01\x01\x78\x70"]
        {
            assert!(matches!(talk(Upgrade::Ldap, &[wrong]).1, Err(Refusal::Strange(_))), "{wrong:?}");
        }
    }

    #[test]
    fn postgres_answers_with_one_byte_and_what_follows_is_nobodys() {
        let (sent, ended) = talk(Upgrade::Postgres, &[b"S"]);
        assert_eq!((sent.len(), ended), (1, Ok(vec![])));
        assert_eq!(talk(Upgrade::Postgres, &[b"Sx"]).1, Ok(b"x".to_vec()));
        assert_eq!(talk(Upgrade::Postgres, &[b"N"]).1, Err(Refusal::NotOffered));
        assert!(matches!(talk(Upgrade::Postgres, &[b"E"]).1, Err(Refusal::Refused(_))));
        assert!(matches!(talk(Upgrade::Postgres, &[b"H"]).1, Err(Refusal::Strange(_))));
    }

    #[test]
    fn mysql_greets_and_says_whether_it_can() {
        let greeting = |abilities: u16| {
            let mut packet = b"\x0a8.0\0abcdsaltsalt\0".to_vec();
            packet.extend(abilities.to_le_bytes());
            packet.extend([0; 20]);
            let mut all = vec![u8::try_from(packet.len()).unwrap(), 0, 0, 0];
            all.extend(packet);
            all
        };
        let (sent, ended) = talk(Upgrade::Mysql, &[&greeting(0x800)]);
        assert_eq!((sent.len(), ended), (1, Ok(vec![])));
        assert_eq!(talk(Upgrade::Mysql, &[&greeting(0)]).1, Err(Refusal::NotOffered));
        let error = b"\x09\0\0\0\xff\x69\x04Host x";
        assert_eq!(
            talk(Upgrade::Mysql, &[&error[..11]]).1.unwrap_err(),
            Refusal::Strange("nothing more came".to_owned())
        );
        assert_eq!(talk(Upgrade::Mysql, &[error]).1, Err(Refusal::Refused("Host x".to_owned())));
        for wrong in [&b"220 mail\r\n"[..], &[4, 0, 0, 0, 9, 9, 9, 9], &[2, 0, 0, 0, 10, 1]] {
            assert!(matches!(talk(Upgrade::Mysql, &[wrong]).1, Err(Refusal::Strange(_))), "{wrong:?}");
        }
    }
}
