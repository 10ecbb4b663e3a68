//! What is made of a secret is as secret as that, where it can be told back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use transcript::record::{Finished, Recorder, Recording, Secret};
use transcript::{Carrier, Ending, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript};

const PASSWORD: &str = "hunter2";

/// What a client says that has this secret, and the account of its failure when it hears something else.
fn failed(text: &str, columns: &[&str], heard: &[&str]) -> (String, String) {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &["pw"]).unwrap_or_else(|why| panic!("{why}"));
    let mut options = PlayOptions::new(Side::Client, Carrier::Stream);
    options.secrets = vec![Secret { name: "pw".to_owned(), value: PASSWORD.into() }];
    if columns.is_empty() {
        options.values.insert("pw".to_owned(), PASSWORD.into());
    }
    options.columns = columns.iter().map(|&name| name.to_owned()).collect();
    let script = Script::prepare(&transcript, &options).unwrap_or_else(|why| panic!("{why}"));
    let mut play = match columns {
        [] => script.play(),
        _ => script.play_with(&script.row(&[PASSWORD]).unwrap()),
    };
    let (mut scratch, mut output) = (Scratch::new(), Output::default());
    for bytes in std::iter::once(&"").chain(heard) {
        let input = Input { bytes: bytes.as_bytes(), datagram: false, ended: false, now: Moment::default() };
        let step = play.step(&script, input, &mut scratch, &mut output);
        if let Next::End(Ending::Failed(verdict)) = step.next {
            return (String::from_utf8_lossy(&output.bytes).into_owned(), verdict.render(""));
        }
    }
    panic!("{text}: it goes as written");
}

#[test]
fn no_account_shows_what_is_made_of_a_secret_and_could_be_told_back() {
    for (text, heard, made) in [
        ("let a = base64 {pw}\nC: AUTH PLAIN {a}\nS: ok\n", &["no aHVudGVyMg==\n"][..], "aHVudGVyMg=="),
        ("let a = hex {pw}\nC: {a}\nS: ok\n", &["no 68756e74657232\n"], "68756e74657232"),
        ("set both = ann:{pw}\nlet a = base64 {both}\nC: {a}\nS: ok\n", &["YW5uOmh1bnRlcjI=\n"], "YW5uOmh1bnRlcjI="),
        ("let a = base64 {pw}\nlet b = hex {a}\nset c = <{b}>\nC: {c}\nS: ok\n", &["no\n"], "61485675644756794d673d3d"),
        ("let a = base64 {pw}\nlet b = unbase64 {a}\nC: {b}\nS: ok\n", &["no\n"], PASSWORD),
        // Of values that a play has, and behind the place where they were said.
        ("S: hi {n}\nlet a = base64 {n}{pw}\nC: {a}\nS: ok\n", &["hi 1\n", "no MWh1bnRlcjI=\n"], "MWh1bnRlcjI="),
        (
            "S: hi {n}\nlet a = base64 {n}{pw}\nset line = AUTH {a}\nC: {line}\nS: one\nC: x\nS: two\n",
            &["hi 1\n", "one\n", "MWh1bnRlcjI=\n"],
            "MWh1bnRlcjI=",
        ),
        (
            "repeat\n  S: {n}\n  let a = hex {n}{pw}\n  C: {a}\n  S: ok\nend\nS: bye\n",
            &["1\n", "ok\n2\n", "no 3268756e74657232\n"],
            "68756e74657232",
        ),
    ] {
        for columns in [&[][..], &["pw"]] {
            let (said, account) = failed(text, columns, heard);
            assert!(said.contains(made), "{text}: {said}");
            assert!(!account.contains(made) && !account.contains(PASSWORD), "{text}{account}");
        }
    }
}

#[test]
fn what_tells_nothing_of_a_secret_is_shown() {
    for (text, shown) in [
        ("let n = length {pw}\nC: a {n}\nS: ok\n", "a 7"),
        ("let n = sha1 {pw}\nC: a {n}\nS: ok\n", "a f3bbbd66a63d4bf1747940578ec3d0103530e21d"),
        ("let n = hmac-md5 pw x\nlet b = base64 {n}\nC: a {b}\nS: ok\n", "a "),
        ("let n = base64 other\nC: a {n}\nS: ok\n", "a b3RoZXI="),
    ] {
        let (said, account) = failed(text, &[], &["no\n"]);
        assert!(said.starts_with(shown), "{said}");
        assert!(account.contains(said.trim_end()), "{account}");
    }
}

#[test]
fn a_record_has_the_names_of_what_is_made_of_a_secret() {
    let secrets = vec![Secret { name: "pw".to_owned(), value: PASSWORD.into() }];
    let values = BTreeMap::from([("pw".to_owned(), PASSWORD.into()), ("user".to_owned(), b"ann".to_vec())]);
    let text =
        "set both = {user}:{pw}\nlet a = base64 {both}\nlet b = hex {pw}\nlet n = length {pw}\nC: {a} {b} {n}\nS: ok\n";
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &["pw", "user"]).unwrap();
    let made = transcript.made_of_secrets(&secrets, &values);
    let names: Vec<&str> = made.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let all = [secrets, made].concat();
    let recording = Recording { carrier: Carrier::Stream, at: None, secrets: all, times: false, ports: false };
    let mut recorder = Recorder::new(recording);
    recorder.said(Side::Client, b"YW5uOmh1bnRlcjI= 68756e74657232 7\n", Moment::default());
    recorder.ended(Side::Client);
    let (Finished::Whole(text) | Finished::Rest(text)) = recorder.finish();
    assert!(text.contains("C: {a} {b} 7\n"), "{text}");
    // A name that has its value from outside is none of these.
    let values = BTreeMap::from([("pw".to_owned(), PASSWORD.into()), ("a".to_owned(), b"other".to_vec())]);
    let names = transcript.made_of_secrets(&[Secret { name: "pw".to_owned(), value: PASSWORD.into() }], &values);
    assert!(names.iter().all(|secret| secret.name == "b"), "{names:?}");
}
