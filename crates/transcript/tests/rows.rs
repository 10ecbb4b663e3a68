//! Values that differ from play to play: a script that is made once and given a row says, hears and refuses what one says,
//! hears and refuses that is made anew with the values in it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::record::Secret;
use transcript::{
    Carrier, Ending, Input, Moment, Next, Output, Play, PlayOptions, Row, Scratch, Script, Side, Transcript,
};

/// What a peer says, piece by piece, and what becomes of a play that hears it.
fn played(script: &Script, mut play: Play, heard: &[&[u8]]) -> String {
    let (mut scratch, mut output, mut held, mut said) = (Scratch::new(), Output::default(), Vec::new(), String::new());
    let datagrams = script.carrier() == Carrier::Datagram;
    let mut now = Moment::default();
    let mut pieces = heard.iter();
    let mut datagram = false;
    let mut ended = false;
    for _ in 0..10_000 {
        let step = play.step(script, Input { bytes: &held, datagram, ended, now }, &mut scratch, &mut output);
        held.drain(..step.consumed);
        said.push_str(&format!("{:?}", String::from_utf8_lossy(&output.bytes)));
        output.clear();
        datagram = false;
        match step.next {
            Next::End(Ending::Failed(verdict)) => return format!("{said} {}", verdict.render("")),
            Next::End(ending) => return format!("{said} {ending:?}"),
            Next::Pause { until } => now = until,
            Next::Hear { until } => match pieces.next() {
                Some(piece) if datagrams => (held, datagram) = (piece.to_vec(), true),
                Some(piece) => held.extend_from_slice(piece),
                None if ended => now = until.unwrap(),
                None => ended = !datagrams,
            },
            Next::Flush | Next::StopSending | Next::StartTls | Next::StopTls => {}
            Next::Over { .. } | Next::Connect { .. } | Next::Accept { .. } | Next::Listen { .. } => {
                panic!("no transcript here has several connections")
            }
        }
        if datagrams && pieces.len() == 0 && !datagram {
            now = now.after(std::time::Duration::from_secs(1));
        }
    }
    panic!("it never ends: {said}");
}

struct Case {
    text: &'static str,
    side: Side,
    carrier: Carrier,
    secret: &'static [&'static str],
}

/// A case with the names and values of a row, and what is said of it.
type Wrong = (Case, &'static [&'static str], &'static [&'static [u8]], &'static str);

impl Case {
    fn client(text: &'static str) -> Self {
        Self { text, side: Side::Client, carrier: Carrier::Stream, secret: &[] }
    }

    /// Both ways to give it values, and what comes of each of them.
    fn both(&self, names: &[&str], values: &[&[u8]], heard: &[&[u8]]) -> [Result<String, String>; 2] {
        let transcript = Transcript::parse("t.talk", self.text.as_bytes(), names).unwrap_or_else(|why| panic!("{why}"));
        let mut options = PlayOptions::new(self.side, self.carrier);
        let secrets = self.secret.iter().filter_map(|name| {
            let at = names.iter().position(|known| known == name)?;
            Some(Secret { name: (*name).to_owned(), value: values[at].to_vec() })
        });
        options.secrets = secrets.collect();
        options.values = names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        let with_values = Script::prepare(&transcript, &options)
            .map(|script| played(&script, script.play(), heard))
            .map_err(|refused| refused.to_string());
        // What is hidden is known by its name: the value is the row's.
        options.secrets.iter_mut().for_each(|secret| secret.value = b"another".to_vec());
        options.values = options.values.into_keys().map(|name| (name, b"not this".to_vec())).collect();
        options.columns = names.iter().map(|name| (*name).to_owned()).collect();
        let script = Script::prepare(&transcript, &options).unwrap_or_else(|why| panic!("{why}"));
        let with_row = script
            .row(values)
            .map(|row| played(&script, script.play_with(&row), heard))
            .map_err(|refused| refused.to_string());
        [with_values, with_row]
    }

    fn check(&self, names: &[&str], values: &[&[u8]], heard: &[&[u8]]) -> Result<String, String> {
        let [with_values, with_row] = self.both(names, values, heard);
        assert_eq!(with_values, with_row, "{}", self.text);
        with_row
    }
}

#[test]
fn a_row_is_said_and_heard_as_a_value_that_the_script_holds() {
    let greet = Case::client("S: Welcome!\nrepeat 2\n  C: {name}\n  S: {greeting}, {name}!\nend\nC: exit\nS closes\n");
    let names = ["name", "greeting"];
    let good = greet.check(&names, &[b"Ann", b"Hello"], &[b"Welcome!\n", b"Hello, Ann!\n", b"Hello, Ann!\n"]).unwrap();
    assert_eq!(good, "\"\"\"Ann\\n\"\"Ann\\n\"\"exit\\n\"\"\" Left");
    let wrong = greet.check(&names, &[b"Bob", b"Hi"], &[b"Welcome!\n", b"Hello, Bob!\n"]).unwrap();
    assert!(wrong.contains("expected  Hi, Bob!") && wrong.contains("received  Hello, Bob!"), "{wrong}");
    for values in [[&b""[..], b""], [b"{name}", b"\xff\x00"], ["Zoë".as_bytes(), b" "]] {
        greet.check(&names, &values, &[b"Welcome!\r\n", b", !\r\n", b"Hello, x!\n"]).unwrap();
    }
    let fold = Case::client("ignore case\nC: get {key}\nS: value {key}\nS raw: {key}\nC: {key}{x=1}\n");
    fold.check(&["key"], &[b"Fish"], &[b"VALUE Fish\n", b"Fish"]).unwrap();
    fold.check(&["key"], &[b"Fish"], &[b"VALUE fish\n"]).unwrap();
    let server =
        Case { side: Side::Server, ..Case::client("repeat\n  C: {key}={value}\n  S: {answer} {value}\nend\n") };
    server.check(&["key", "answer"], &[b"k", b"ok"], &[b"k=1\nk=2\n", b"x=3\n"]).unwrap();
    let datagrams = Case { carrier: Carrier::Datagram, ..Case::client("C: {key}\nS: {key}{_}\n") };
    datagrams.check(&["key"], &[b"k"], &[b"k and more"]).unwrap();
    datagrams.check(&["key"], &[b"k"], &[b"x"]).unwrap();
}

#[test]
fn a_value_that_is_made_of_a_rows_values_is_that_of_the_row() {
    let text = "eol crlf\nset secret = tan{suffix}\nlet mac = hmac-md5 secret {user}\nlet n = length {user}{mac}\n\
                C: {user} {mac}\nS: {n}\nC raw: {secret}\nS raw: {body:n bytes}\n";
    let case = Case::client(text);
    let names = ["user", "suffix"];
    let good = case.check(&names, &[b"mrose", b"staaf"], &[b"37\r\n", &[b'x'; 37]]).unwrap();
    assert!(good.starts_with("\"mrose ") && good.contains("\"tanstaaf\"") && good.ends_with("Done"), "{good}");
    case.check(&names, &[b"mrose", b"staaf"], &[b"36\r\n"]).unwrap();
    // A name that is given in two places is made where it stands.
    let twice = "set a = {x}1\nC: {a}\nset a = {x}2\nC: {a}\nlet b = base64 {a}\nC: {b}\n";
    assert_eq!(Case::client(twice).check(&["x"], &[b"k"], &[]).unwrap(), "\"k1\\nk2\\nazI=\\n\" Done");
    let coded = Case::client("let plain = unbase64 {coded}\nC: {plain}\nS: ok\n");
    assert!(coded.check(&["coded"], &[b"QW5u"], &[b"ok\n"]).unwrap().starts_with("\"Ann\\n\""));
    let refused = coded.check(&["coded"], &[b"no!"], &[]).unwrap_err();
    assert!(refused.contains("the value is not base64") && refused.contains("t.talk:1:1"), "{refused}");
}

#[test]
fn what_is_wrong_with_a_row_is_told_before_the_play_and_in_the_same_words() {
    let cases: &[Wrong] = &[
        (Case::client("C: {a}\n"), &["a"], &[b"x\ny"], "a value with a line ending in it"),
        (Case::client("set b = {a}.\nC: {b}\n"), &["a"], &[b"x\ny"], "a value with a line ending in it"),
        (Case::client("repeat\n  C: {a}\nend\nC: exit\n"), &["a"], &[b"exit"], "`exit` would be heard as line 4"),
        (Case::client("repeat\n  C: {b=stop}\nend\nC: {a}\n"), &["a"], &[b"stop"], "would be heard as line 4"),
        (Case::client("C raw: {a:n bytes=xyz}\n"), &["n"], &[b"2"], "the default is 3 bytes long, and {n} is 2"),
        (Case::client("S raw: {a:n bytes}\n"), &["n"], &[b"two"], "{n} is `two`, which is no number of bytes"),
        (Case::client("S raw: {a:n bytes}\n"), &["n"], &[b""], "{n} is empty, and should be a number of bytes"),
        (
            Case::client("either\n  S raw: {a}\nor\n  S raw: abc\nend\n"),
            &["a"],
            &[b"ab"],
            "where this message ends cannot be told",
        ),
        (
            Case { carrier: Carrier::Datagram, ..Case::client("C: {a}{a}\nS: x\n") },
            &["a"],
            &[&[b'x'; 40_000]],
            "a datagram holds 65507 bytes, and this one would have 80000",
        ),
        (
            Case { carrier: Carrier::Datagram, ..Case::client("together\n  C: {a}\n  C: {a}\nend\nS: x\n") },
            &["a"],
            &[&[b'x'; 40_000]],
            "a datagram holds 65507 bytes, and this one would have 80000",
        ),
    ];
    for (case, names, values, words) in cases {
        let refused = case.check(names, values, &[]).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
    // Right ones beside them.
    assert!(Case::client("repeat\n  C: {a}\nend\nC: exit\n").check(&["a"], &[b"exit "], &[]).is_ok());
    assert!(Case::client("C raw: {a:n bytes=xyz}\n").check(&["n"], &[b"3"], &[]).is_ok());
    assert!(Case::client("C raw: {a}\nS: {b}\n").check(&["a", "b"], &[b"x\ny", b"z\n"], &[b"z\n"]).is_ok());
    let datagrams = Case { carrier: Carrier::Datagram, ..Case::client("C: {a}\nC: {a}\nS: x\n") };
    assert!(datagrams.check(&["a"], &[&[b'x'; 40_000]], &[]).is_ok());
}

#[test]
fn values_that_are_far_too_large_are_refused() {
    let transcript = Transcript::parse("t.talk", b"set b = {a}{a}\nC: {a}\nC raw: {b}\n", &["a"]).unwrap();
    let mut options = PlayOptions::new(Side::Client, Carrier::Stream);
    options.columns = vec!["a".to_owned()];
    let script = Script::prepare(&transcript, &options).unwrap();
    let refused = script.row(&[vec![b'x'; 17 << 20]]).unwrap_err().to_string();
    assert!(refused.contains("and a play holds 16 MiB"), "{refused}");
    // With what is made of it, it is.
    let refused = script.row(&[vec![b'x'; 9 << 20]]).unwrap_err().to_string();
    assert!(refused.contains("16 MiB"), "{refused}");
    assert!(script.row(&[vec![b'x'; 5 << 20]]).is_ok());
    let transcript = Transcript::parse("t.talk", b"C raw: {a}\n", &["a"]).unwrap();
    let script = Script::prepare(&transcript, &options).unwrap();
    assert!(script.row(&[vec![b'x'; 16 << 20]]).is_ok());
    assert!(script.row(&[vec![b'x'; (16 << 20) + 1]]).is_err());
}

#[test]
fn a_row_with_what_is_made_of_it_holds_16_mib_and_no_more() {
    // In the blocks the value decides what can be told apart, so that a longer look is taken at each row.
    for block in ["", "in any order\n  C raw: {a}\n  C raw: x\nend\n", "either\n  S raw: {a}\nor\n  S raw: x\nend\n"] {
        let text = format!("set b = {{a}}\nset c = {{a}}\nset d = {{a}}\nC raw: {{b}}{{c}}\nC raw: {{d}}\n{block}");
        let transcript = Transcript::parse("t.talk", text.as_bytes(), &["a"]).unwrap();
        let mut options = PlayOptions::new(Side::Client, Carrier::Stream);
        options.columns = vec!["a".to_owned()];
        let script = Script::prepare(&transcript, &options).unwrap();
        for length in [1, 1 << 20, 4 << 20] {
            assert!(script.row(&[vec![b'v'; length]]).is_ok(), "{length} {block}");
        }
        for length in [(4 << 20) + 1, 9 << 20] {
            let refused = script.row(&[vec![b'v'; length]]).unwrap_err().to_string();
            assert!(refused.contains("made of them are longer than 16 MiB together"), "{length} {block}{refused}");
        }
    }
}

#[test]
fn a_row_has_one_value_for_each_name() {
    let transcript = Transcript::parse("t.talk", b"C: {a}{b}\n", &["a", "b"]).unwrap();
    let mut options = PlayOptions::new(Side::Client, Carrier::Stream);
    options.columns = vec!["a".to_owned(), "b".to_owned()];
    let script = Script::prepare(&transcript, &options).unwrap();
    assert_eq!(script.columns(), ["a", "b"]);
    let refused = script.row(&["x"]).unwrap_err().to_string();
    assert!(refused.contains("1 values are given for the 2 names"), "{refused}");
    assert!(script.row(&["x", "y", "z"]).is_err());
    options.columns.clear();
    options.values.insert("a".to_owned(), vec![]);
    options.values.insert("b".to_owned(), vec![]);
    let script = Script::prepare(&transcript, &options).unwrap();
    assert!(script.columns().is_empty() && script.row(&["x"]).is_err());
}

#[test]
fn a_secret_of_a_row_is_hidden_by_its_name() {
    let login = Case { secret: &["password"], ..Case::client("C: PASS {password}\nS: in, {password}\n") };
    let shown = login.check(&["password"], &[b"hunter2"], &[b"out, hunter2\n"]).unwrap();
    let (_, account) = shown.split_once("error").unwrap();
    assert!(!account.contains("hunter2") && account.contains("received  out, {password}"), "{account}");
    assert!(account.contains("expected  in, {password}") && account.contains("sent      PASS {password}"), "{account}");
    let twice = Case { secret: &["a"], ..Case::client("repeat\n  C: {a}\nend\nC: hunter2\n") };
    let refused = twice.check(&["a"], &[b"hunter2"], &[]).unwrap_err();
    assert!(refused.contains("`{a}` would be heard as line 4"), "{refused}");
    let made = Case { secret: &["a"], ..Case::client("C: {a}\nS raw: {x:3 bytes}.\n") };
    assert!(made.check(&["a"], &[b"abc"], &[b"abcd"]).unwrap().contains("received  {a}d"));
}

#[test]
fn plays_of_one_script_with_rows_of_their_own_share_their_scratch() {
    let transcript = Transcript::parse("t.talk", b"C: {a}\nS: {b}{a}\nC: {a}{b}\n", &["a"]).unwrap();
    let mut options = PlayOptions::new(Side::Client, Carrier::Stream);
    options.columns = vec!["a".to_owned()];
    let script = Script::prepare(&transcript, &options).unwrap();
    let rows: Vec<Row> = [b"1", b"2", b"3"].iter().map(|value| script.row(&[value]).unwrap()).collect();
    let (mut scratch, mut output) = (Scratch::new(), Output::default());
    let mut plays: Vec<Play> = rows.iter().map(|row| script.play_with(row)).collect();
    let input = |bytes| Input { bytes, datagram: false, ended: false, now: Moment::default() };
    for play in &mut plays {
        play.step(&script, input(b""), &mut scratch, &mut output);
    }
    assert_eq!(output.bytes, b"1\n2\n3\n");
    output.clear();
    // A reset in the middle leaves the others their values.
    let ending = plays[1].reset(&script, b"", &mut scratch);
    let Ending::Failed(verdict) = ending else { panic!("{ending:?}") };
    assert!(verdict.render("").contains("expected  {b}2"), "{}", verdict.render(""));
    for (play, heard) in [(2, &b"x3\n"[..]), (0, b"y1\n")] {
        plays[play].step(&script, input(heard), &mut scratch, &mut output);
    }
    assert_eq!(output.bytes, b"3x\n1y\n");
}
