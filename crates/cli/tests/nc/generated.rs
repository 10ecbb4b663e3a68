//! Command lines made at random, always the same ones: flags in any number and order, before a server, a client, or no peer.

use super::peer::{Over, Peer};
use super::side_by_side::{Case, Input, alone, assert_same};

/// A generator whose numbers are the same in each run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % bound
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// How many of each kind; `SOCKEYE_NC_CASES` asks for more, and `SOCKEYE_NC_SEED` for others.
fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

const COUNT: u64 = 80;

const ANYWHERE: &[&str] = &[
    "-v",
    "-n",
    "-4",
    "-b",
    "-t",
    "-r",
    "-I 4096",
    "-O4096",
    "-M 64",
    "-m1",
    "-T ef",
    "-T0x10",
    "-T lowdelay",
    "-C",
    "-vn",
    "-nv",
    "-D",
    "-w 20",
    "-w20",
    "-P me",
    "-X 5",
    "-Xconnect",
    "-q -1",
];
const CONNECTING: &[&str] =
    &["-s 127.0.0.1", "-s localhost", "-p OTHER", "-pOTHER", "-d", "-N", "-q0", "-z", "-vz", "-Nv"];
const LISTENING: &[&str] = &["-N", "-d", "-dv"];
const WRONG: &[&str] = &[
    "-k", "-h", "-y", "-V1", "-T no", "-I 0", "-w x", "-M 300", "-X 7", "-F", "-Z", "-x [", "-6", "-W 0", "-U", "-l",
    "-S",
];

fn flags(numbers: &mut Numbers, lists: &[&[&'static str]]) -> Vec<&'static str> {
    let all: Vec<&'static str> = lists.concat();
    (0..numbers.below(5)).map(|_| numbers.of(&all)).collect()
}

/// A flag that takes the rest of a word, or none of these.
fn has(flags: &[&str], letter: char) -> bool {
    flags.iter().any(|flag| flag.trim_start_matches('-').split([' ', '2', '0']).next().unwrap().contains(letter))
}

fn case_of(kind: usize, numbers: &mut Numbers) -> Case {
    let input = || Input::File(b"one\ntwo\r\n\nbye\n".to_vec());
    match kind {
        // No server is there, or something is wrong.
        0 => {
            let mut all = flags(numbers, &[ANYWHERE, CONNECTING]);
            all.insert(numbers.below(all.len() + 1), numbers.of(WRONG));
            // A listener would wait for ever.
            let place = if all.contains(&"-l") { "-z 127.0.0.1 PORT" } else { "127.0.0.1 PORT" };
            Case::new(&format!("{} {place}", all.join(" ")), Input::Null, Peer::Nobody)
        }
        // A server.
        1 => {
            let all = flags(numbers, &[ANYWHERE, CONNECTING]);
            // Without standard input, nothing wakes nc up to end its side.
            let is_told = has(&all, 'N') || all.contains(&"-q0");
            let ends = is_told && !has(&all, 'd') || has(&all, 'z');
            let reads = !has(&all, 'd') && !has(&all, 'z');
            let end = if has(&all, 'C') { "bye\r\n" } else { "bye\n" };
            let until = (reads && !ends).then(|| end.as_bytes().to_vec());
            let peer = Peer::Server { until, to_end: ends, says: b"hello\nworld".to_vec(), over: Over::Tcp };
            let host = numbers.of(&["127.0.0.1", "127.0.0.1", "localhost"]);
            let host = if has(&all, 'n') { "127.0.0.1" } else { host };
            Case::new(&format!("{} {host} PORT", all.join(" ")), input(), peer)
        }
        // Datagrams.
        2 => {
            let mut all = flags(numbers, &[ANYWHERE, &["-s 127.0.0.1", "-p OTHER", "-d", "-N", "-z"]]);
            // It would wait some seconds for errors, which every case has its fill of.
            all.retain(|flag| !has(&[flag], 'v'));
            // How much is sent before the answer to the first line came, is not known.
            let is_answered = !has(&all, 'C') && !has(&all, 'd') && numbers.below(2) == 0;
            let says = if is_answered { b"answer\n".to_vec() } else { Vec::new() };
            let end = if is_answered { "-W1" } else { "-w1 -q0" };
            let peer = Peer::Server { until: None, to_end: false, says, over: Over::Udp };
            Case::new(&format!("-u {} {end} 127.0.0.1 PORT", all.join(" ")), input(), peer)
        }
        // A client.
        _ => {
            let all = flags(numbers, &[ANYWHERE, LISTENING]);
            let ends = has(&all, 'N') && !has(&all, 'd');
            let end = if has(&all, 'C') { "bye\r\n" } else { "bye\n" };
            let until = (!has(&all, 'd') && !ends).then(|| end.as_bytes().to_vec());
            let peer = Peer::Client { until, to_end: ends, says: b"hello\nworld".to_vec(), over: Over::Tcp };
            let place = numbers.of(&["-l PORT", "PORT -l", "-l 127.0.0.1 PORT", "-lp PORT", "-l -s 127.0.0.1 -p PORT"]);
            Case::new(&format!("{} {place}", all.join(" ")), input(), peer)
        }
    }
}

fn all_of(kind: usize) {
    let seed = asked("SOCKEYE_NC_SEED", 1) * 7919 + kind as u64;
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ seed);
    for _ in 0..asked("SOCKEYE_NC_CASES", COUNT) {
        assert_same(&case_of(kind, &mut numbers));
    }
}

#[test]
fn what_is_wrong_or_refused_ends_the_same() {
    alone("generated::what_is_wrong_or_refused_ends_the_same", || all_of(0));
}

#[test]
fn a_server_meets_the_same_client() {
    alone("generated::a_server_meets_the_same_client", || all_of(1));
}

#[test]
fn a_client_meets_the_same_listener() {
    alone("generated::a_client_meets_the_same_listener", || all_of(3));
}

#[test]
fn the_same_datagrams_are_sent() {
    alone("generated::the_same_datagrams_are_sent", || all_of(2));
}
