//! A SOCKS 5 proxy (RFC 1928, RFC 1929) for tests.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::read;

pub struct SocksProxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl SocksProxy {
    /// Lets through every client, or one that has this user and password.
    pub fn start(login: Option<(&'static str, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, seen) = (stream.unwrap(), Arc::clone(&seen));
                std::thread::spawn(move || one(stream, login, &seen));
            }
        });
        Self { address, asked }
    }

    /// The host that it was asked to connect to: `name host:80` or `address 127.0.0.1:80`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn one(mut stream: TcpStream, login: Option<(&str, &str)>, seen: &Mutex<Vec<String>>) {
    let hello = read(&mut stream, 2);
    let methods = read(&mut stream, usize::from(hello[1]));
    let method = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xff]).unwrap();
    }
    stream.write_all(&[5, method]).unwrap();
    if let Some(login) = login {
        read(&mut stream, 1);
        let mut word = || {
            let length = read(&mut stream, 1)[0];
            String::from_utf8(read(&mut stream, usize::from(length))).unwrap()
        };
        let is_right = (word(), word()) == (login.0.to_owned(), login.1.to_owned());
        stream.write_all(&[1, u8::from(!is_right)]).unwrap();
        if !is_right {
            return;
        }
    }
    let request = read(&mut stream, 4);
    let (kind, host) = match request[3] {
        1 => ("address", Ipv4Addr::from(<[u8; 4]>::try_from(read(&mut stream, 4)).unwrap()).to_string()),
        _ => {
            let length = read(&mut stream, 1)[0];
            ("name", String::from_utf8(read(&mut stream, usize::from(length))).unwrap())
        }
    };
    let port = u16::from_be_bytes(read(&mut stream, 2).try_into().unwrap());
    seen.lock().unwrap().push(format!("{kind} {host}:{port}"));
    // Any name is one of ours, as in a network behind the proxy.
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
        return stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    };
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).unwrap();
    let (from, to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || copy(from, to));
    copy(server, stream);
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = [0; 65536];
    while let Ok(length) = from.read(&mut piece) {
        if length == 0 || to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
