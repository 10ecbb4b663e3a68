//! The constructs, and the worst that is known for each.

use transcript::Carrier;

use super::{Construct, Law};

/// One stream.
fn one(said: Vec<u8>) -> Vec<(u8, Vec<u8>)> {
    vec![(1, said)]
}

/// A line again and again.
fn lines(line: &str, size: usize) -> Vec<(u8, Vec<u8>)> {
    one(line.repeat(size / line.len()).into_bytes())
}

/// A beginning, one letter in so many bytes, and an end.
fn filled(begin: &str, letter: u8, end: &str, size: usize) -> Vec<(u8, Vec<u8>)> {
    one([begin.as_bytes(), &vec![letter; size.saturating_sub(begin.len() + end.len())], end.as_bytes()].concat())
}

/// The same datagram again and again.
fn datagrams(datagram: &str, size: usize) -> Vec<(u8, Vec<u8>)> {
    (0..size / datagram.len()).map(|_| (1, datagram.as_bytes().to_vec())).collect()
}

const STREAM: Carrier = Carrier::Stream;
const DATAGRAM: Carrier = Carrier::Datagram;

const fn construct(name: &'static str, text: &'static str, says: fn(usize) -> Vec<(u8, Vec<u8>)>) -> Construct {
    Construct { name, text, carrier: STREAM, law: Law::Linear, says }
}

const fn over_datagrams(name: &'static str, text: &'static str, says: fn(usize) -> Vec<(u8, Vec<u8>)>) -> Construct {
    Construct { name, text, carrier: DATAGRAM, law: Law::Linear, says }
}

pub const CONSTRUCTS: &[Construct] = &[
    construct("a line that never ends", "C: hello\nS: ok\n", |n| filled("", b'a', "", n)),
    construct("a line of another text", "C: {_}aab\nS: ok\n", |n| filled("", b'a', "\n", n)),
    construct("holes in a line", "C: {a} {b}: {c};{d}, {e} {f}aab{g}\nS: ok\n", |n| {
        filled("a a: a;a, a ", b'a', "\n", n)
    }),
    construct("a value in a line", "C: {x=a}\nC: {a}{x};{b}\nS: ok\n", |n| {
        let (value, line) = ("a".repeat(n / 3), "a".repeat(n * 2 / 3 - 2));
        one(format!("{value}\n{line}\n").into_bytes())
    }),
    construct("a value in a line, `ignore case`", "ignore case\nC: {x=a}\nC: {a}{x}b{c}\nS: ok\n", |n| {
        let half = "a".repeat(n / 3 - 2);
        one(format!("{half}a\n{half}A{half}A\n").into_bytes())
    }),
    construct("patterns", "C: {a:word=x} {b:int=1} {c:/(x+x+)+y/=xxy}\nS: ok\n", |n| filled("a 1 ", b'x', "\n", n)),
    construct("holes side by side", "C: {a:/(x|xx)*/=x}{b:/x*y?/}{c:int=1}\nS: ok\n", |n| filled("", b'x', "\n", n)),
    construct("`raw:` with holes", "C raw: {a=a}aab{b=b}END\nS: ok\n", |n| filled("", b'a', "", n)),
    construct("a value in `raw:`", "C: {x=a}\nC raw: {a}{x};\nS: ok\n", |n| {
        one(format!("{}\n{}", "a".repeat(n / 3), "a".repeat(n * 2 / 3 - 1)).into_bytes())
    }),
    construct("a value in `raw:`, `ignore case`", "ignore case\nC: {x=a}\nC raw: {a}{x}b\nS: ok\n", |n| {
        let half = "a".repeat(n / 3 - 2);
        one(format!("{half}a\n{half}A{half}A").into_bytes())
    }),
    construct("`hex:` with holes", "C hex: {a=00} 616162 {b=00} 00\nS: ok\n", |n| filled("", b'a', "", n)),
    construct("N bytes", "C: {n:int=5}\nC raw: {b:n bytes=x…}\nS: ok\n", |n| {
        filled(&format!("{}\n", n + 100), b'x', "", n)
    }),
    construct("numbers", "repeat\n  C hex: {n:varint=1}{b:n bytes=78…}\n  S: {n}\nend\n", |n| lines("\u{3}abc", n)),
    construct("`file:`", "C file: x\nS: ok\n", |n| filled("", b'x', "", n)),
    construct("`repeat`", "repeat\n  C: {x=a}\n  S: {x}\nend\n", |n| lines("ab\n", n)),
    construct("`repeat` with `raw:`", "repeat\n  C raw: {x=a};\n  S: {x}\nend\n", |n| lines("ab;", n)),
    construct("`repeat` of repeats", "repeat\n  C: a\n  repeat 3\n    C: {x=b}\n  end\n  S: {x}\nend\n", |n| {
        lines("a\nb\nb\nb\n", n)
    }),
    construct(
        "`either`",
        "repeat\n  either\n    C: a{x=1}z\n    S: 1\n  or\n    C: a{x=1}y\n    S: 2\n  or\n    C: a{x=1} {y=2}w\n    S: 3\n  or\n    \
         C: {_=b}\n    S: 4\n  end\nend\n",
        |n| lines("aaa a\n", n),
    ),
    construct(
        "`either` with `raw:`",
        "gap 1s\neither\n  C raw: a{x=1}aab{y=2}\u{7b}0x00}\n  S: 1\nor\n  C raw: aa{x=1}ab{y=2}\u{7b}0x01}\n  S: 2\nor\n  C raw: aaaaab\n  S: \
         3\nend\n",
        |n| filled("", b'a', "", n),
    ),
    construct("an `either` that fails", "either\n  C: {_}aab\nor\n  C: {_}b{_}c\nor\n  C: a{_}d\nend\nS: ok\n", |n| {
        filled("", b'a', "\n", n)
    }),
    construct(
        "`in any order`",
        "repeat\n  C: go\n  in any order\n    C: a {x=1}\n    C: b {y=2}\n    C: {z=3}c\n    C: {w=4}d\n  end\n  S: ok\nend\n",
        |n| lines("go\n1d\n2c\nb 3\na 4\n", n),
    ),
    construct(
        "`in any order`, middles",
        "repeat\n  C: go\n  in any order\n    C: {a}1{b}\n    C: {c}2{d}\n    C: {e}3{f}\n  end\n  S: ok\nend\n",
        |n| lines("go\naaa3aa\naaa2aa\naaa1aa\n", n),
    ),
    construct(
        "`in any order` with `raw:`",
        "gap 1s\nin any order\n  C raw: a{x=1};\n  C raw: b{y=2};\n  C raw: {z=3}aab\nend\nS: ok\n",
        |n| filled("", b'a', "", n),
    ),
    construct("`not`", "repeat\n  not C: aab{_}b\n  not C: {_}aab\n  C: {_=x}\n  S: ok\nend\n", |n| {
        lines("aabaa\n", n)
    }),
    construct("`maybe`", "repeat\n  C: go\n  maybe\n    C: {x=a}aab\n  end\n  C: on{_}\n  S: ok\nend\n", |n| {
        lines("go\naaaab\non\n", n)
    }),
    construct("`at any time`", "at any time\n  C: PING {t=1}\n  S: PONG {t}\nend\nC: hello {_}\nS: ok\n", |n| {
        lines("PING abc\n", n)
    }),
    construct(
        "`at any time` with `raw:`",
        "at any time\n  C raw: P{t=1};\n  S raw: Q{t};\nend\nC raw: hello{_}!\nS: ok\n",
        |n| lines("Pabc;", n),
    ),
    construct(
        "`choose`",
        "repeat\n  C: {key=a}\n  choose {key}\n  is a\n    S: 1\n  is b\n    S: 2\n  is c\n    S: 3\n  else\n    S: {key}\n  end\nend\n",
        |n| lines("abc\n", n),
    ),
    construct("`let`, a digest", "repeat\n  C: {x=a}\n  let d = sha256 {x}\n  S: {d}\nend\n", |n| {
        lines("abcdefgh\n", n)
    }),
    construct(
        "`let`, of one long line",
        "C: {x=a}\nlet d = hmac-md5 x {x}\nlet e = base64 {x}\nlet f = hex {e}\nS: {d}{f}\n",
        |n| filled("", b'a', "\n", n),
    ),
    construct(
        "`let`, sums",
        "repeat\n  C: {x:int=1}\n  let s = sum {x} 1\n  let t = difference {s} {x}\n  S: {t}\nend\n",
        |n| lines("12345\n", n),
    ),
    construct("`let`, a sum of one long line", "C: {x:int=1}\nlet s = sum {x} 1\nS: {s}\n", |n| {
        filled("", b'0', "\n", n)
    }),
    construct(
        "`let`, checksums",
        "C: {x=a}\nlet s = crc32 {x}\nlet t = crc16 {x}\nlet u = sum8 {x}\nlet v = xor8 {x}\nS: {s}{t}{u}{v}\n",
        |n| filled("", b'a', "\n", n),
    ),
    construct("`set`", "repeat\n  C: {x=a}\n  set y = {x}{x}\n  set z = {y}{x}\n  S: {z}\nend\n", |n| {
        lines("abc\n", n)
    }),
    construct("a value that grows", "set all = -\nrepeat\n  C: {x=a}\n  set all = {all}{x}\nend\nC: end\n", |n| {
        lines("abc\n", n)
    }),
    Construct {
        name: "a value that is put together anew",
        text: "set all = -\nrepeat\n  C: {x=a}\n  set all = {x}{all}\nend\nC: end\n",
        carrier: STREAM,
        law: Law::AsLongAsTheValue,
        says: |n| lines("abc\n", n),
    },
    construct("`random`, `time`", "repeat\n  let id = random 4 hex\n  C: {id}\n  S: {id}\nend\n", |n| {
        lines("ab12\n", n)
    }),
    construct("`closes`, heard", "S: hello\nC closes\n", |n| filled("", b'a', "", n)),
    construct("`starttls`", "C: STARTTLS\nS: go\nstarttls\nC: a\n", |n| filled("STARTTLS\n", b'a', "", n)),
    construct("the next connection", "repeat\n  C: {x=a}\n  S: {x}\n  S closes\n  C connects\nend\n", |n| {
        (0..n / 4).map(|_| (1, b"abc\n".to_vec())).collect()
    }),
    construct("two connections", "C2 connects\nrepeat\n  C: {x=a}\n  C2: {y=b}\n  S: {x}{y}\nend\n", |n| {
        vec![(1, b"abc\n".repeat(n / 8)), (2, b"def\n".repeat(n / 8))]
    }),
    construct("`eol none`, `gap`", "eol none\ngap 5ms\nrepeat\n  C: {x=a}\n  S: {x}\nend\n", |n| {
        filled("", b'a', "", n)
    }),
    over_datagrams("datagrams", "repeat\n  C: {x=a}\n  S: {x}\nend\n", |n| datagrams("abcdefgh", n)),
    over_datagrams(
        "`together`, one datagram",
        "eol crlf\ntogether\n  C: M-SEARCH\n  repeat\n    C: {_=a}: {_=b}\n  end\n  C:\nend\nS: ok\n",
        |n| vec![(1, format!("M-SEARCH\r\n{}\r\n", "a: b\r\n".repeat(n / 6)).into_bytes())],
    ),
    over_datagrams(
        "`together`, many datagrams",
        "repeat\n  together\n    C: a\n    repeat\n      C: {x=b}: {y=c}\n    end\n    C: end\n  end\n  S: ok\nend\n",
        |n| datagrams("a\nb: c\nb: c\nend\n", n),
    ),
    over_datagrams(
        "datagrams at any time",
        "at any time\n  together\n    C: ping\n    C: {x=a}\n  end\n  S: {x}\nend\nC: hello\nS: ok\n",
        |n| datagrams("ping\nabc\n", n),
    ),
];
