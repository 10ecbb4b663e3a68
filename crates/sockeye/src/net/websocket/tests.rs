use super::*;
use crate::address::Address;

fn client(address: &str, messages: Messages) -> WebSocket {
    WebSocket::of_client(&WsClient::new(&Address::parse(address).unwrap(), messages)).unwrap()
}

fn server(address: &str, messages: Messages) -> WebSocket {
    WebSocket::of_server(&WsServer::new(&Address::parse(address).unwrap(), messages))
}

/// Moves what one says to the other, so many bytes at a time.
fn pass(from: &mut WebSocket, to: &mut WebSocket, piece: usize) -> Result<Vec<u8>, TlsError> {
    let (mut wire, mut clear) = (Vec::new(), Vec::new());
    from.send(&[], &mut wire);
    from.answer_close(&mut wire);
    for bytes in wire.chunks(piece) {
        to.receive(bytes, &mut clear)?;
    }
    Ok(clear)
}

fn joined(messages: Messages) -> (WebSocket, WebSocket) {
    let (mut client, mut server) = (client("ws://localhost:1", messages), server("ws://localhost:1", messages));
    pass(&mut client, &mut server, 7).unwrap();
    pass(&mut server, &mut client, 7).unwrap();
    assert!(!client.is_handshaking() && !server.is_handshaking());
    (client, server)
}

fn say(from: &mut WebSocket, to: &mut WebSocket, bytes: &[u8]) -> Vec<u8> {
    let (mut wire, mut clear) = (Vec::new(), Vec::new());
    from.send(bytes, &mut wire);
    to.receive(&wire, &mut clear).unwrap();
    clear
}

/// A frame as a client sends it, masked by nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[test]
fn bytes_arrive_whole_however_they_are_cut_and_ends_are_said() {
    let (mut client, mut server) = joined(Messages::Bytes);
    let long: Vec<u8> = (0..300_000_u32).map(|at| at as u8).collect();
    let mut wire = Vec::new();
    client.send(&long, &mut wire);
    let mut clear = Vec::new();
    for bytes in wire.chunks(999) {
        server.receive(bytes, &mut clear).unwrap();
    }
    assert!(clear == long);
    assert_eq!(say(&mut server, &mut client, b"\xff\0"), b"\xff\0");
    let mut wire = Vec::new();
    client.end(Some(&Close { code: 4000, reason: "enough".to_owned() }), &mut wire);
    server.receive(&wire, &mut Vec::new()).unwrap();
    assert!(server.has_ended() && !client.has_ended());
    assert_eq!(server.close(), Some(&Close { code: 4000, reason: "enough".to_owned() }));
    pass(&mut server, &mut client, 1).unwrap();
    assert_eq!(client.close().map(|close| close.code), Some(4000));
}

#[test]
fn a_line_is_a_text_message_and_back() {
    let (mut client, mut server) = joined(Messages::Lines);
    assert_eq!(say(&mut client, &mut server, b"one\ntwo\r\n\n"), b"one\ntwo\n\n");
    // What is no text, or no line, is a message of its bytes.
    assert_eq!(say(&mut server, &mut client, b"\xff\nrest"), b"\xff\nrest");
    let (mut client, mut server) = joined(Messages::WholeLines);
    assert_eq!(say(&mut client, &mut server, b"be"), b"");
    assert_eq!(say(&mut client, &mut server, b"gin\nrest"), b"begin\n");
    let (mut wire, mut clear) = (Vec::new(), Vec::new());
    client.end(None, &mut wire);
    server.receive(&wire, &mut clear).unwrap();
    assert_eq!((clear.as_slice(), server.close().map(|close| close.code)), (&b"rest\n"[..], Some(1000)));
}

/// A name, what is sent, what it says, and with which code it is answered.
type Case<'a> = (&'a str, Vec<u8>, &'a [u8], Option<u16>);

/// What a server of ours makes of frames: what they say, and with which code it closes, if it does (RFC 6455, sections 5 and 7).
#[test]
fn frames_mean_what_the_rfc_says_and_others_are_refused_by_their_code() {
    let text = |bytes: &[u8]| frame(0x81, bytes);
    let long = vec![b'x'; 65_536];
    let huge =
        [vec![0x82, 0x80 | 127], (limits::WEBSOCKET_MESSAGE as u64 + 1).to_be_bytes().to_vec(), vec![0; 4]].concat();
    let cases: Vec<Case<'_>> = vec![
        ("text", text(b"hello"), b"hello", None),
        ("empty", text(b""), b"", None),
        ("125 bytes", text(&long[..125]), &long[..125], None),
        ("126 bytes", text(&long[..126]), &long[..126], None),
        ("65535 bytes", text(&long[..65_535]), &long[..65_535], None),
        ("65536 bytes", text(&long), &long, None),
        ("binary", frame(0x82, b"\xff\xfe"), b"\xff\xfe", None),
        ("fragments", [frame(0x01, b"a"), frame(0x00, b"b"), frame(0x80, b"c")].concat(), b"abc", None),
        ("a ping between fragments", [frame(0x01, b"a"), frame(0x89, b"!"), frame(0x80, b"c")].concat(), b"ac", None),
        ("an unasked pong", frame(0x8a, b"?"), b"", None),
        ("a letter across fragments", [frame(0x01, b"\xc3"), frame(0x80, b"\xbc")].concat(), "ü".as_bytes(), None),
        ("no UTF-8", text(b"\xff"), b"", Some(1007)),
        ("half a letter at the end", text(b"\xc3"), b"", Some(1007)),
        ("a reserved bit", frame(0xc1, b"x"), b"", Some(1002)),
        ("a reserved opcode", frame(0x83, b"x"), b"", Some(1002)),
        ("a reserved control opcode", frame(0x8b, b"x"), b"", Some(1002)),
        ("a continuation of nothing", frame(0x80, b"x"), b"", Some(1002)),
        ("a text inside a text", [frame(0x01, b"a"), text(b"b")].concat(), b"", Some(1002)),
        ("a ping in fragments", frame(0x09, b"x"), b"", Some(1002)),
        ("a long ping", frame(0x89, &long[..126]), b"", Some(1002)),
        ("no mask", vec![0x81, 1, b'x'], b"", Some(1002)),
        ("too long", huge, b"", Some(1009)),
        ("a close of one byte", frame(0x88, b"x"), b"", Some(1002)),
        ("a close with a code that nobody sends", frame(0x88, &1005_u16.to_be_bytes()), b"", Some(1002)),
        ("a close without a code", frame(0x88, b""), b"", Some(1005)),
        ("a close", frame(0x88, &1000_u16.to_be_bytes()), b"", Some(1000)),
        ("what comes behind a close", [frame(0x88, &1001_u16.to_be_bytes()), text(b"late")].concat(), b"", Some(1001)),
    ];
    for (name, bytes, said, code) in cases {
        for piece in [1, 13, usize::MAX] {
            let (_, mut server) = joined(Messages::Bytes);
            let mut clear = Vec::new();
            let mut received = Ok(());
            for bytes in bytes.chunks(piece.min(bytes.len())) {
                received = received.and(server.receive(bytes, &mut clear));
            }
            assert!(clear == said, "{name} by {piece}: {:?}", clear.get(..50));
            let mut wire = Vec::new();
            server.send(&[], &mut wire);
            server.answer_close(&mut wire);
            let sent = wire.strip_prefix(&[0x88]).map(|rest| match rest {
                [length, high, low, ..] if *length >= 2 => u16::from_be_bytes([*high, *low]),
                _ => 1005,
            });
            assert_eq!(sent, code, "{name} by {piece}: {received:?} {wire:?}");
        }
    }
}

#[test]
fn a_ping_is_answered_with_what_it_says() {
    let (_, mut server) = joined(Messages::Bytes);
    server.receive(&frame(0x89, b"are you there"), &mut Vec::new()).unwrap();
    let mut wire = Vec::new();
    server.send(&[], &mut wire);
    assert_eq!(wire, [b"\x8a\x0d".as_slice(), b"are you there"].concat());
}

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The example of RFC 6455, section 1.3, and requests that are none.
#[test]
fn a_request_is_answered_with_yes_or_with_why_not() {
    let answer = |address: &str, request: &str| {
        let mut server = server(address, Messages::Bytes);
        let heard = server.receive(request.as_bytes(), &mut Vec::new());
        let mut wire = Vec::new();
        server.send(&[], &mut wire);
        (heard.is_ok() && !server.is_handshaking(), String::from_utf8(wire).unwrap())
    };
    let (is_open, yes) = answer("ws://localhost:1/chat", REQUEST);
    assert!(
        is_open && yes.starts_with("HTTP/1.1 101 ") && yes.contains("Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{yes}"
    );
    assert!(answer("ws://localhost:1", REQUEST).0);
    for (address, request, status) in [
        ("ws://localhost:1/other", REQUEST.to_owned(), "404"),
        ("ws://localhost:1", REQUEST.replace("GET", "POST"), "405"),
        ("ws://localhost:1", REQUEST.replace("Upgrade: websocket\r\n", ""), "426"),
        ("ws://localhost:1", REQUEST.replace(", Upgrade", ""), "426"),
        ("ws://localhost:1", REQUEST.replace(": 13", ": 8"), "426"),
        ("ws://localhost:1", REQUEST.replace("dGhl", "x"), "400"),
        ("ws://localhost:1", REQUEST.replace("Host: x\r\n", ""), "400"),
        ("ws://localhost:1", "SSH-2.0-x\r\n\r\n".to_owned(), "400"),
        ("ws://localhost:1?subprotocol=chat", REQUEST.to_owned(), "400"),
    ] {
        let (is_open, no) = answer(address, &request);
        assert!(!is_open && no.starts_with(&format!("HTTP/1.1 {status} ")), "{address} {request}: {no}");
    }
    let asks = REQUEST.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: other, chat\r\n\r\n");
    let (is_open, yes) = answer("ws://localhost:1?subprotocol=first,chat", &asks);
    assert!(is_open && yes.contains("Sec-WebSocket-Protocol: chat\r\n"), "{yes}");
}

#[test]
fn an_answer_that_is_no_yes_is_told_in_words() {
    let hear = |address: &str, answer: &str| {
        let mut client = client(address, Messages::Bytes);
        let mut request = Vec::new();
        client.send(&[], &mut request);
        client.receive(answer.as_bytes(), &mut Vec::new()).unwrap_err().to_string()
    };
    let yes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    for (answer, words) in [
        ("HTTP/1.1 404 Not Found\r\n\r\n", "the server says no: 404 Not Found"),
        ("HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", "302 Found, and names /there"),
        ("Welcome!\n", "the server does not speak HTTP"),
        ("HTTP/1.1 101 OK\r\n\r\n", "something else than WebSocket"),
        (&format!("{yes}Sec-WebSocket-Accept: x\r\n\r\n"), "is to another request"),
        (&format!("HTTP/1.1 101 {}", "x".repeat(limits::HEAD)), "does not end"),
    ] {
        let said = hear("ws://localhost:1", answer);
        assert!(said.contains(words), "{answer:.60}: {said}");
    }
    let (mut one, mut other) =
        (client("ws://localhost:1?subprotocol=a", Messages::Bytes), server("ws://localhost:1", Messages::Bytes));
    pass(&mut one, &mut other, 100).unwrap();
    assert!(pass(&mut other, &mut one, 100).unwrap_err().to_string().contains("speaks no a"));
}
