//! Conversations, one by one: half-close, `-k`, `-q`, `-W`, `-C`, `-t`, datagrams, paths and proxies.

use super::peer::{Over, Peer};
use super::side_by_side::{Case, Input, alone, assert_same};

fn file(text: &str) -> Input {
    Input::File(text.as_bytes().to_vec())
}

fn server(until: Option<&str>, to_end: bool, says: &[u8], over: Over) -> Peer {
    Peer::Server { until: until.map(|until| until.as_bytes().to_vec()), to_end, says: says.to_vec(), over }
}

fn client(until: Option<&str>, to_end: bool, says: &[u8], over: Over) -> Peer {
    Peer::Client { until: until.map(|until| until.as_bytes().to_vec()), to_end, says: says.to_vec(), over }
}

#[test]
fn a_client_ends_its_side_only_if_it_is_told_to() {
    alone("listed::a_client_ends_its_side_only_if_it_is_told_to", || {
        let until_bye = || server(Some("bye\n"), false, b"hello\n", Over::Tcp);
        let until_end = || server(None, true, b"hello\n", Over::Tcp);
        for (line, peer) in [
            ("127.0.0.1 PORT", until_bye()),
            ("-v 127.0.0.1 PORT", until_bye()),
            ("-vn 127.0.0.1 PORT", until_bye()),
            ("-v localhost PORT", until_bye()),
            ("-N 127.0.0.1 PORT", until_end()),
            ("-q 0 127.0.0.1 PORT", until_end()),
            ("-q 1 127.0.0.1 PORT", until_end()),
            ("-q -1 127.0.0.1 PORT", until_bye()),
            ("-C 127.0.0.1 PORT", server(Some("bye\r\n"), false, b"hello\n", Over::Tcp)),
            ("-NC 127.0.0.1 PORT", until_end()),
            ("-Ni1 127.0.0.1 PORT", until_end()),
            ("-w 5 127.0.0.1 PORT", until_bye()),
        ] {
            let outcome = assert_same(&Case::new(line, file("one\ntwo\r\n\nbye\n"), peer));
            assert_eq!(outcome.stdout, b"hello\n", "{line}");
        }
    });
}

#[test]
fn a_listener_serves_one_or_with_k_each() {
    alone("listed::a_listener_serves_one_or_with_k_each", || {
        let until_bye = || client(Some("bye\n"), false, b"hello\n", Over::Tcp);
        for (line, peer) in [
            ("-l PORT", until_bye()),
            ("-vl PORT", until_bye()),
            ("-vnl PORT", until_bye()),
            ("-vl 127.0.0.1 PORT", until_bye()),
            ("-vl ::1 PORT", until_bye()),
            ("-6vnl PORT", until_bye()),
            ("-vl localhost PORT", until_bye()),
            ("-vl -p PORT", until_bye()),
            ("-vl -s 127.0.0.1 -p PORT", until_bye()),
            ("-Nl PORT", client(None, true, b"hello\n", Over::Tcp)),
            ("-l -q 1 PORT", client(None, true, b"hello\n", Over::Tcp)),
            ("-l -w 5 PORT", until_bye()),
        ] {
            let outcome = assert_same(&Case::new(line, file("bye\n"), peer));
            assert_eq!(outcome.heard, b"bye\n", "{line}");
        }
        let clients = Peer::Clients(vec![b"one\n".to_vec(), b"two\n".to_vec(), b"three\n".to_vec()]);
        let outcome = assert_same(&Case::new("-lv -W 1 PORT", Input::Null, clients));
        assert_eq!(outcome.stdout, b"one\n");
    });
}

#[test]
fn datagrams_are_sent_and_taken_as_nc_does_it() {
    alone("listed::datagrams_are_sent_and_taken_as_nc_does_it", || {
        for (line, input, peer) in [
            ("-u -w1 127.0.0.1 PORT", file("one\ntwo\n"), server(None, false, b"", Over::Udp)),
            ("-u -W1 127.0.0.1 PORT", file("one\n"), server(None, false, b"answer\n", Over::Udp)),
            ("-uv -w1 127.0.0.1 PORT", file("one\n"), server(None, false, b"", Over::Udp)),
            ("-u -q0 127.0.0.1 PORT", file("one\n"), server(None, false, b"", Over::Udp)),
            ("-uN -w1 127.0.0.1 PORT", file("one\n"), server(None, false, b"", Over::Udp)),
            ("-uC -w1 127.0.0.1 PORT", file("one\ntwo\n"), server(None, false, b"", Over::Udp)),
            ("-uzv -w1 127.0.0.1 PORT", Input::Null, server(None, false, b"", Over::Udp)),
            ("-uz 127.0.0.1 PORT", Input::Null, server(None, false, b"", Over::Udp)),
            ("-ul -w1 PORT", Input::Null, client(None, false, b"hello\n", Over::Udp)),
            ("-ul -W1 PORT", Input::Open, client(None, false, b"hello\n", Over::Udp)),
            ("-ulv -W1 PORT", Input::Open, client(None, false, b"hello\n", Over::Udp)),
            ("-ulvn -W1 127.0.0.1 PORT", Input::Open, client(None, false, b"hello\n", Over::Udp)),
            ("-ulv6 -W1 ::1 PORT", Input::Open, client(None, false, b"hello\n", Over::Udp)),
            ("-ul -w1 PORT", file("bye\n"), client(Some("bye\n"), false, b"hello\n", Over::Udp)),
            ("-ul -q0 PORT", Input::Null, client(None, false, b"hello\n", Over::Udp)),
            // Not `-ulk -q5` with an input that has ended: nc then shuts the socket that it reads, and whether a datagram came
            // before that is a matter of time.
        ] {
            assert_same(&Case::new(line, input, peer));
        }
    });
}

#[test]
fn paths_and_abstract_names_are_sockets_too() {
    alone("listed::paths_and_abstract_names_are_sockets_too", || {
        for (line, input, peer) in [
            ("-U DIR/sock", file("bye\n"), server(Some("bye\n"), false, b"hello\n", Over::Unix)),
            ("-vU DIR/sock", file("bye\n"), server(Some("bye\n"), false, b"hello\n", Over::Unix)),
            ("-NU DIR/sock", file("bye\n"), server(None, true, b"hello\n", Over::Unix)),
            ("-zU DIR/sock", Input::Null, server(None, true, b"", Over::Unix)),
            ("-lU DIR/sock", file("bye\n"), client(Some("bye\n"), false, b"hello\n", Over::Unix)),
            ("-lvU DIR/sock", file("bye\n"), client(Some("bye\n"), false, b"hello\n", Over::Unix)),
            ("-lU -s DIR/sock", file("bye\n"), client(Some("bye\n"), false, b"hello\n", Over::Unix)),
            ("-uU -w1 DIR/sock", file("one\n"), server(None, false, b"", Over::UnixDatagrams)),
            ("-uU -W1 DIR/sock", file("one\n"), server(None, false, b"answer\n", Over::UnixDatagrams)),
            ("-uvU -W1 -s DIR/own DIR/sock", file("one\n"), server(None, false, b"answer\n", Over::UnixDatagrams)),
            ("-uUz DIR/sock", Input::Null, server(None, false, b"", Over::UnixDatagrams)),
            ("-luU -W1 DIR/sock", Input::Open, client(None, false, b"hello\n", Over::UnixDatagrams)),
            ("-luvU -W1 DIR/sock", Input::Open, client(None, false, b"hello\n", Over::UnixDatagrams)),
        ] {
            assert_same(&Case::new(line, input, peer));
        }
    });
}

#[test]
fn limits_and_resets_end_it_as_they_end_nc() {
    alone("listed::limits_and_resets_end_it_as_they_end_nc", || {
        for (line, input, peer) in [
            ("-W1 127.0.0.1 PORT", Input::Open, server(None, false, b"hello\n", Over::Tcp)),
            ("-w1 127.0.0.1 PORT", Input::Open, server(None, true, b"", Over::Tcp)),
            ("-w0 127.0.0.1 PORT", Input::Open, server(None, true, b"", Over::Tcp)),
            ("-d 127.0.0.1 PORT", Input::Open, server(None, false, b"hello\n", Over::Tcp)),
            ("127.0.0.1 PORT", Input::Null, server(None, false, b"hello\n", Over::Tcp)),
            ("-z 127.0.0.1 PORT", Input::Null, server(None, true, b"", Over::Tcp)),
            ("-vz 127.0.0.1 PORT", Input::Null, server(None, true, b"", Over::Tcp)),
            ("-vzn 127.0.0.1 1 PORT", Input::Null, server(None, true, b"", Over::Tcp)),
            ("-vz localhost PORT 1", Input::Null, server(None, true, b"", Over::Tcp)),
            ("127.0.0.1 PORT", file("bye\n"), Peer::Resets),
            ("-F 127.0.0.1 PORT", Input::Null, server(None, true, b"", Over::Tcp)),
            ("-vF 127.0.0.1 PORT", Input::Null, server(None, true, b"", Over::Tcp)),
        ] {
            assert_same(&Case::new(line, input, peer));
        }
    });
}

#[test]
fn telnet_options_are_declined() {
    alone("listed::telnet_options_are_declined", || {
        let offers = b"\xff\xfd\x01\xff\xfb\x03\xff\xfc\x05\xff\xfe\x06login: ";
        for (line, answer) in [("-tw1 127.0.0.1 PORT", 12), ("-w1 127.0.0.1 PORT", 0)] {
            // nc ends first: of a peer's end that comes before nc has written what it read, it makes more than one thing.
            let peer = Peer::Proxy(vec![(0, offers.to_vec()), (answer, vec![]), (1, vec![])]);
            let outcome = assert_same(&Case::new(line, Input::Null, peer));
            assert_eq!(outcome.stdout, offers);
            assert_eq!(outcome.heard.len(), answer, "{line}");
        }
    });
}

#[test]
fn proxies_are_asked_in_nc_s_words() {
    alone("listed::proxies_are_asked_in_nc_s_words", || {
        let proxy =
            |steps: &[(usize, &[u8])]| Peer::Proxy(steps.iter().map(|(count, says)| (*count, says.to_vec())).collect());
        let v4 = |code: u8| vec![0, code, 0, 0, 0, 0, 0, 0];
        let mut granted = v4(90);
        granted.extend(b"glued\n");
        let mut cases: Vec<(String, Peer)> = vec![("-X4".into(), proxy(&[(9, &granted)]))];
        cases.extend([91, 92, 93, 94, 0].map(|code| ("-X4".to_owned(), proxy(&[(9, &v4(code))]))));
        cases.push(("-X4".into(), proxy(&[(9, b"\0\x5a")])));
        for code in 0..=9 {
            cases.push(("-X5".into(), proxy(&[(3, &[5, 0]), (10, &[5, code, 0, 1, 1, 2, 3, 4, 0, 80, b'!'])])));
        }
        cases.push(("-X5".into(), proxy(&[(3, &[5, 0xff])])));
        cases.push(("-X5".into(), proxy(&[(3, &[5])])));
        cases.push(("-X5".into(), proxy(&[(3, &[])])));
        cases.push(("-X5".into(), proxy(&[(3, &[5, 0]), (10, &[5, 0, 0, 3, 1, b'a', 0, 80])])));
        cases.push(("-X5".into(), proxy(&[(3, &[5, 0]), (10, &[[5, 0, 0, 4].as_slice(), &[7; 18], b"six"].concat())])));
        cases.push(("-X5".into(), proxy(&[(3, &[5, 0]), (10, &[5, 0, 0, 4, 7])])));
        for (flags, host, count) in
            [("-X5", "name.invalid", 19), ("-X5 -n", "192.0.2.7", 10), ("-X5", "2001:db8::1", 22)]
        {
            let peer = proxy(&[(3, &[5, 0]), (count, &[5, 0, 0, 1, 1, 2, 3, 4, 0, 80, b'!'])]);
            let line = format!("{flags} -vx 127.0.0.1:PORT {host} 80");
            let outcome = assert_same(&Case::new(&line, Input::Null, peer));
            assert_eq!(outcome.stdout, b"!", "{line}");
        }
        let request = "CONNECT 192.0.2.7:80 HTTP/1.0\r\n\r\n".len();
        for answer in [
            "HTTP/1.0 200 OK\r\n\r\nglued\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n\r\nglued\n",
            "HTTP/1.1 200 OK\nA: b\n\nglued\n",
            "HTTP/1.1 404 Not Found\r\n\r\n",
            "HTTP/1.1 407 Who?\r\n\r\n",
            "HTTP/1.1 200\r\n\r\n",
            "nonsense\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n",
            "",
        ] {
            cases.push(("-Xconnect".into(), proxy(&[(request, answer.as_bytes())])));
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(64));
        cases.push(("-Xconnect".into(), proxy(&[(request, many.as_bytes())])));
        cases.push(("-Xconnect".into(), proxy(&[(request, format!("{}\n", "x".repeat(1024)).as_bytes())])));
        for (flags, peer) in cases {
            let line = format!("{flags} -vx 127.0.0.1:PORT 192.0.2.7 80");
            assert_same(&Case::new(&line, Input::Null, peer));
        }
        for line in ["-X4 -x 127.0.0.1:PORT name.invalid 80", "-X4 -vx [127.0.0.1]:PORT 192.0.2.7 80"] {
            assert_same(&Case::new(line, Input::Null, proxy(&[(9, &granted)])));
        }
    });
}
