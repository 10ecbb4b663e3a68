//! XMPP (RFC 6120, section 5): two streams of XML, of which only the elements that matter are looked for.

use super::{Next, Refusal, shown, strange};

const NAMESPACE: &str = "urn:ietf:params:xml:ns:xmpp-tls";

pub(super) fn next(step: &mut usize, host: &str, came: &mut Vec<u8>) -> Result<Next, Refusal> {
    match *step {
        0 => {
            *step = 1;
            let to = escaped(host);
            let streams = "http://etherx.jabber.org/streams";
            let open = format!(
                "<?xml version='1.0'?><stream:stream to='{to}' version='1.0' xmlns='jabber:client' xmlns:stream='{streams}'>"
            );
            Ok(Next::Send(open.into_bytes()))
        }
        1 => {
            not_xml(came)?;
            let Some(length) = element(came, "stream:features")? else { return Ok(Next::Wait) };
            let features: Vec<u8> = came.drain(..length).collect();
            let has = |text: &str| memchr::memmem::find(&features, text.as_bytes()).is_some();
            if !has("<starttls") || !has(NAMESPACE) {
                return Err(Refusal::NotOffered);
            }
            *step = 2;
            Ok(Next::Send(format!("<starttls xmlns='{NAMESPACE}'/>").into_bytes()))
        }
        _ => {
            if let Some(at) = memchr::memmem::find(came, b"<failure") {
                return Err(Refusal::Refused(shown(&came[at..])));
            }
            let Some(length) = element(came, "proceed")? else { return Ok(Next::Wait) };
            came.drain(..length);
            Ok(Next::Secure)
        }
    }
}

fn not_xml(came: &[u8]) -> Result<(), Refusal> {
    match came.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'<') | None => Ok(()),
        Some(_) => Err(strange(came)),
    }
}

/// Where an element ends that may be empty, if it has come.
fn element(came: &[u8], name: &str) -> Result<Option<usize>, Refusal> {
    if let Some(at) = memchr::memmem::find(came, b"<stream:error") {
        return Err(Refusal::Refused(shown(&came[at..])));
    }
    let Some(begin) = memchr::memmem::find(came, format!("<{name}").as_bytes()) else { return Ok(None) };
    let Some(end) = memchr::memchr(b'>', &came[begin..]).map(|length| begin + length) else { return Ok(None) };
    if came[..end].ends_with(b"/") {
        return Ok(Some(end + 1));
    }
    let close = format!("</{name}>");
    Ok(memchr::memmem::find(&came[end..], close.as_bytes()).map(|at| end + at + close.len()))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::talk;
    use super::super::{Refusal, Upgrade};

    #[test]
    fn tls_is_asked_for_where_it_is_offered() {
        let open: &[u8] = b"<?xml version='1.0'?><stream:stream id='1'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
        for yes in ["<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed xmlns=\"x\"></proceed>"] {
            let (sent, ended) = talk(Upgrade::Xmpp, &[open, yes.as_bytes()]);
            assert!(sent[0].contains("to='mail.example'"), "{sent:?}");
            assert_eq!((sent[1].as_str(), ended), ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", Ok(vec![])));
        }
        let (_, ended) = talk(Upgrade::Xmpp, &[open, b"<failure xmlns='x'/></stream:stream>"]);
        assert_eq!(ended, Err(Refusal::Refused("<failure".to_owned())));
        for (answer, why) in [
            (&b"<stream:stream><stream:features/>"[..], Refusal::NotOffered),
            (b"<stream:stream><stream:features><x/></stream:features>", Refusal::NotOffered),
            (b"220 mail", Refusal::Strange("2".to_owned())),
        ] {
            assert_eq!(talk(Upgrade::Xmpp, &[answer]).1, Err(why));
        }
    }
}
