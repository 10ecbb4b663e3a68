//! Branches that a conversation may go beside the one that is written down: lines that must not come, that may be left out, that
//! may come at any time; blocks inside one datagram; files that others include; holes that stand side by side.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io;
use std::sync::Arc;

use transcript::rehearse::{Rehearsal, rehearse};
use transcript::{
    Carrier, Ending, Fault, File, Files, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript,
};

/// A folder that is made up.
#[derive(Debug)]
struct Folder(&'static [(&'static str, &'static str)]);

/// Both ends of a transcript with its files, which agree.
fn rehearsed(transcript: &Transcript, folder: Folder) -> Rehearsal {
    let files = Arc::new(folder);
    let script = |side| {
        let mut options = PlayOptions::new(side, Carrier::Stream);
        options.files = Some(Arc::clone(&files) as _);
        Script::prepare(transcript, &options).unwrap()
    };
    let rehearsal = rehearse(&script(Side::Client), &script(Side::Server), |all| all);
    assert!(rehearsal.is_success(), "{rehearsal:?}");
    rehearsal
}

#[derive(Debug)]
struct Text(&'static str);

impl Files for Folder {
    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let found = self.0.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| Arc::new(Text(text)) as Arc<dyn File>).ok_or_else(|| io::Error::other("no such file"))
    }
}

impl File for Text {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = &self.0.as_bytes()[offset as usize..];
        let length = into.len().min(rest.len()).min(7);
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

fn parse(text: &str) -> Transcript {
    Transcript::parse("test.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"))
}

fn prepare(transcript: &Transcript, side: Side, carrier: Carrier) -> Script {
    Script::prepare(transcript, &PlayOptions::new(side, carrier)).unwrap_or_else(|refused| panic!("{refused}"))
}

fn refusal(text: &str, side: Side) -> String {
    let parsed = Transcript::parse("test.talk", text.as_bytes(), &[]);
    let refused = parsed.and_then(|transcript| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)));
    refused.expect_err(text).to_string()
}

/// What both ends say to each other, however the bytes are cut.
#[track_caller]
fn said(text: &str) -> (String, String) {
    let transcript = parse(text);
    let [client, server] = [Side::Client, Side::Server].map(|side| prepare(&transcript, side, Carrier::Stream));
    let mut all = Vec::new();
    for size in [usize::MAX, 1, 3] {
        let rehearsal = rehearse(&client, &server, |waiting| size.min(waiting));
        for ending in [&rehearsal.client, &rehearsal.server] {
            if let Ending::Failed(verdict) = ending {
                panic!("{}", verdict.render(""));
            }
        }
        all.push((rehearsal.from_client, rehearsal.from_server));
    }
    assert!(all.iter().all(|one| *one == all[0]));
    let (client, server) = all.swap_remove(0);
    (String::from_utf8(client).unwrap(), String::from_utf8(server).unwrap())
}

/// What one end says to these bytes, which come in pieces, and how its play ends; `None` while it waits for more.
fn played(text: &str, side: Side, bytes: &[u8], piece: usize) -> (String, Option<Ending>) {
    let script = prepare(&parse(text), side, Carrier::Stream);
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let (mut from, mut upto) = (0, 0);
    loop {
        let input = Input { bytes: &bytes[from..upto], datagram: false, ended: false, now: Moment::default() };
        let step = play.step(&script, input, &mut scratch, &mut output);
        from += step.consumed;
        match step.next {
            Next::End(ending) => return (String::from_utf8(output.bytes).unwrap(), Some(ending)),
            Next::Hear { .. } if upto == bytes.len() => return (String::from_utf8(output.bytes).unwrap(), None),
            Next::Hear { .. } => upto = (upto + piece).min(bytes.len()),
            Next::Flush | Next::Pause { .. } | Next::StopSending | Next::StartTls | Next::StopTls => {}
            Next::Over { .. } | Next::Connect { .. } | Next::Accept { .. } | Next::Listen { .. } => {
                panic!("no transcript here has several connections")
            }
        }
    }
}

/// The same, whole and byte by byte: it goes as written, and this is said.
#[track_caller]
fn goes(text: &str, side: Side, bytes: &str, answer: &str) {
    for piece in [bytes.len().max(1), 1, 5] {
        let (said, ending) = played(text, side, bytes.as_bytes(), piece);
        if let Some(Ending::Failed(verdict)) = &ending {
            panic!("{}", verdict.render(""));
        }
        assert_eq!(said, answer, "in pieces of {piece}");
        assert!(ending.is_some(), "in pieces of {piece}: it waits for more");
    }
}

#[track_caller]
fn fails(text: &str, side: Side, bytes: &str) -> transcript::Verdict {
    let mut last = None;
    for piece in [bytes.len().max(1), 1] {
        match played(text, side, bytes.as_bytes(), piece).1 {
            Some(Ending::Failed(verdict)) => last = Some(*verdict),
            other => panic!("{other:?}"),
        }
    }
    last.unwrap()
}

const NOT: &str = "C: GET\nrepeat\n  not S: Set-Cookie:{_}\n  S: {_=Server: x}\nend\nS:\nC: bye\n";

#[test]
fn a_line_that_must_not_come_is_never_said_and_heard_it_fails() {
    assert_eq!(said(NOT), ("GET\nbye\n".to_owned(), "Server: x\n\n".to_owned()));
    goes(NOT, Side::Client, "A: b\nC: d\n\n", "GET\nbye\n");
    let verdict = fails(NOT, Side::Client, "A: b\nSet-Cookie: id=1\n\n");
    assert_eq!((verdict.fault, verdict.place.line), (Fault::Forbidden, 3));
    assert_eq!(verdict.headline(), "the server said what must not come here");
    assert_eq!(verdict.received, b"Set-Cookie: id=1");
    let text = verdict.render("");
    assert!(
        text.contains("expected  not S: Set-Cookie:{_}\n") && text.contains("received  Set-Cookie: id=1\n"),
        "{text}"
    );
}

#[test]
fn what_must_not_come_is_shown_without_its_ending_and_with_a_carriage_return_that_is_text() {
    let members = [
        ("", "bad one\r\n", "bad one"),
        ("", "bad one\n", "bad one"),
        ("eol crlf\n", "bad one\r\n", "bad one"),
        ("eol lf\n", "bad one\r\n", "bad one\r"),
        ("eol lf\n", "bad one\n", "bad one"),
    ];
    for (eol, heard, shown) in members {
        let verdict = fails(&format!("{eol}C: a\nnot S: bad{{_}}\nS: y\n"), Side::Client, heard);
        assert_eq!((verdict.fault, verdict.received), (Fault::Forbidden, shown.into()), "{eol}{heard}");
    }
}

/// What would have been right is a message or an end, and never what must not come.
#[test]
fn the_account_lists_every_right_way_and_no_wrong_one() {
    let members = [
        ("C: a\nnot S: x\nS: y\n", &[(3, "y")][..]),
        ("C: a\nnot S: x{_}\nnot S: z\nS closes\n", &[(4, "(the end)")]),
        ("C: a\neither\n  S: b\nor\n  S closes\nend\n", &[(3, "b"), (5, "(the end)")]),
        ("C: a\nrepeat\n  not S: x\n  S: y\nend\nS resets\n", &[(4, "y"), (6, "(a reset)")]),
    ];
    for (text, right) in members {
        let verdict = fails(text, Side::Client, "qq\n");
        assert_eq!(verdict.fault, Fault::Differs, "{text}");
        let listed: Vec<_> = verdict.expected.iter().map(|expected| (expected.line, expected.text.as_str())).collect();
        assert_eq!(listed, right, "{text}");
        assert_eq!(verdict.place.line, right[0].0, "{text}");
        assert!(
            !verdict.render("").contains("(the end)   ("),
            "an end is compared with no bytes: {}",
            verdict.render("")
        );
    }
}

#[test]
fn it_stands_before_a_line_as_a_branch_before_the_end_and_before_bytes() {
    let before = "C: STAT\nnot S: -ERR{_}\nS: {_=+OK 1}\nC: QUIT\n";
    goes(before, Side::Client, "+OK 2 320\n", "STAT\nQUIT\n");
    assert_eq!(fails(before, Side::Client, "-ERR no\n").place.line, 2);
    let several = "C: a\nnot S: 4{_}\nnot S: 5{_}\nS: {_=2}\n";
    goes(several, Side::Client, "250 ok\n", "a\n");
    assert_eq!(fails(several, Side::Client, "550 no\n").place.line, 3);
    let branch =
        "repeat\n  C: {x=1|2}\n  either\n    not S: no{_}\n  or\n    S: yes\n  or\n    S: perhaps\n  end\nend\nC: q\n";
    let (client, server) = said(branch);
    assert_eq!((client.as_str(), server.as_str()), ("1\n2\nq\n", "yes\nperhaps\n"));
    assert_eq!(fails(branch, Side::Client, "no way\n").fault, Fault::Forbidden);
    let end = "C: q\nnot S: {_=error}\nS closes\n";
    assert_eq!(said(end).1, "");
    assert_eq!(fails(end, Side::Client, "x\n").fault, Fault::Forbidden);
    let hex = "C: q\nnot S hex: ff {_:1 bytes=00}\nS hex: {a:2 bytes=0102}\nC: bye\n";
    goes(hex, Side::Client, "\u{1}\u{2}", "q\nbye\n");
    assert_eq!(said(hex).1, "\u{1}\u{2}");
}

#[test]
fn who_must_not_say_it_is_told_before_it_is_said() {
    let refused = refusal("C: a\nnot S: 5{_}\nS: {code=550} no\n", Side::Server);
    assert!(refused.contains("would be heard as line 2"), "{refused}");
    let refused = refusal("S: hello\nC: x\nnot S: bad\n", Side::Client);
    assert!(refused.contains("nothing follows that tells that this line did not come"), "{refused}");
    assert!(refusal("not S closes\nS: x\n", Side::Client).contains("write `not S: text`"));
    assert!(refusal("not\nS: x\n", Side::Client).contains("write `not S: text` or `not C: text`"));
}

const MAYBE: &str = "S: 220 hello\nmaybe\n  S: 220 more\nend\nC: HELO {me=x}\nS: 250 {me}\n";

#[test]
fn what_may_be_left_out_is_heard_before_or_behind_what_we_say() {
    assert_eq!(said(MAYBE), ("HELO x\n".to_owned(), "220 hello\n220 more\n250 x\n".to_owned()));
    for heard in ["220 hello\n250 x\n", "220 hello\n220 more\n250 x\n"] {
        goes(MAYBE, Side::Client, heard, "HELO x\n");
    }
    // The client spoke when the line was on its way.
    let (said, ending) = played(MAYBE, Side::Client, b"220 hello\n", 100);
    assert_eq!((said.as_str(), ending.is_none()), ("HELO x\n", true));
    assert_eq!(fails(MAYBE, Side::Client, "220 hello\n220 less\n").expected.len(), 2);
    // SIP: the answer to a request may have one before it.
    let sip = "repeat\n  C: INVITE {n=1|2}\n  maybe\n    S: 100 Trying\n  end\n  S: 200 OK {n}\nend\nC: BYE\n";
    goes(sip, Side::Client, "100 Trying\n200 OK 1\n200 OK 2\n", "INVITE 1\nINVITE 2\nBYE\n");
    let server = self::said(sip).1;
    assert!(server.contains("100 Trying\n200 OK 1\n200 OK 2\n"), "{server}");
    // The other way round: the server cannot tell whether the client says more, and answers.
    let pipelined = "C: a\nmaybe\n  C: b\n  C: c\nend\nS: one\nC: d\nS: two\n";
    goes(pipelined, Side::Server, "a\nd\n", "one\ntwo\n");
    goes(pipelined, Side::Server, "a\nb\nc\nd\n", "one\ntwo\n");
}

#[test]
fn what_may_be_left_out_is_heard_behind_a_whole_block_of_what_we_say() {
    for block in ["together\n  C: a\n  C: b\nend\n", "in any order\n  C: a\n  C: b\nend\n", "set x = a\nC: {x}\nC: b\n"]
    {
        let text = format!("S: hello\nmaybe\n  S: more\nend\n{block}S: ok\n");
        // The client does not wait for it.
        let (said, ending) = played(&text, Side::Client, b"hello\n", 100);
        assert_eq!((said.as_str(), ending.is_none()), ("a\nb\n", true), "{text}");
        for heard in ["hello\nok\n", "hello\nmore\nok\n"] {
            goes(&text, Side::Client, heard, "a\nb\n");
        }
    }
    // A block of the other side comes behind it.
    let theirs = "S: hello\nmaybe\n  S: more\nend\ntogether\n  S: a\n  S: b\nend\nC: ok\n";
    for heard in ["hello\na\nb\n", "hello\nmore\na\nb\n"] {
        goes(theirs, Side::Client, heard, "ok\n");
    }
    assert_eq!(fails(theirs, Side::Client, "hello\na\nmore\n").place.line, 7);
}

#[test]
fn what_may_be_left_out_stands_before_no_block_in_which_we_speak_first() {
    let choose = "choose {k}\n  is a\n    C: one\n  else\n    C: two\n  end\n";
    for block in [
        format!("repeat 2\n  {choose}end\n"),
        "repeat 2\n  maybe\n    C: x\n  end\n  C: y\nend\n".to_owned(),
        "repeat 2\n  together\n    C: x\n  end\nend\n".to_owned(),
        "either\n  C: x\nor\n  C: y\nend\n".to_owned(),
    ] {
        let text = format!("S: hello {{k=a}}\nmaybe\n  S: more\nend\n{block}S: ok\n");
        let refused = refusal(&text, Side::Client);
        assert!(refused.contains("could come in the middle of the block below"), "{text}{refused}");
    }
    // Where the other side speaks first in it, that tells whether the line came.
    let theirs = "S: hello\nmaybe\n  S: more\nend\nrepeat 2\n  S: one\n  C: two\nend\n";
    goes(theirs, Side::Client, "hello\none\none\n", "two\ntwo\n");
    goes(theirs, Side::Client, "hello\nmore\none\none\n", "two\ntwo\n");
}

#[test]
fn a_name_of_what_may_be_left_out_has_no_value_behind_it() {
    let refused = refusal("S: a\nmaybe\n  S: b {x=1}\nend\nC: {x}\n", Side::Client);
    assert!(refused.contains("has a value on one path to here and none on another"), "{refused}");
    let refused = refusal("S: a\nmaybe\n  S: b\n  C: c\nend\nC: x\n", Side::Client);
    assert!(refused.contains("`maybe` holds lines of one side only"), "{refused}");
    let refused = refusal("S: a\nmaybe\n  S: b\nend\nrepeat\n  C: c\n  S: d\nend\n", Side::Client);
    assert!(refused.contains("could come in the middle of the block below"), "{refused}");
}

const ASIDE: &str = "at any time\n  S: PING {token=1}\n  C: PONG {token}\nend\nC: NICK {nick=ann}\nrepeat\n  S: {code:int=372} {nick}\nend\n\
                     S: 376 {nick}\nC: QUIT\nS closes\n";

#[test]
fn what_comes_at_any_time_is_answered_and_the_play_goes_on_where_it_waited() {
    let (client, server) = said(ASIDE);
    assert_eq!((client.as_str(), server.as_str()), ("NICK ann\nQUIT\n", "372 ann\n376 ann\n"));
    let heard = "PING a\n372 ann\nPING b\nPING c\n372 ann\n376 ann\n";
    let (said, ending) = played(ASIDE, Side::Client, heard.as_bytes(), 1);
    assert_eq!(said, "NICK ann\nPONG a\nPONG b\nPONG c\nQUIT\n");
    assert!(ending.is_none());
    // Even where the end is awaited.
    let (said, _) = played(ASIDE, Side::Client, format!("{heard}PING d\n").as_bytes(), 4);
    assert!(said.ends_with("QUIT\nPONG d\n"), "{said}");
    assert_eq!(fails(ASIDE, Side::Client, "PONG a\n").fault, Fault::Differs);
    // What is awaited is tried first.
    let both = "at any time\n  S: {_=x}\nend\nC: a\nS: yes\nC: b\n";
    goes(both, Side::Client, "no\nno\nyes\n", "a\nb\n");
}

#[test]
fn what_comes_at_any_time_leaves_the_values_of_the_play_alone() {
    let text = "at any time\n  S: ! {n:int=1}\n  C: seen {n}\nend\nC: {who=ann}\nS: {a:int=1}\nS: {b:int=2}\nC: {who} {a} {b}\nS: bye\n";
    let heard = "! 5\n8\n! 6\n! 7\n9\nbye\n";
    goes(text, Side::Client, heard, "ann\nseen 5\nseen 6\nseen 7\nann 8 9\n");
    for (text, words) in [
        ("at any time\n  S: {x=1}\nend\nC: {x=2}\n", "gets a value `at any time`, and stands elsewhere too"),
        ("C: a\nrepeat\n  at any time\n    S: x\n  end\n  S: b\nend\n", "stands in no other block"),
        ("at any time\n  set x = 1\n  S: {x}\nend\nC: a\n", "`at any time` begins with a line"),
        ("at any time\nend\nC: a\n", "the block is empty"),
        ("at any time\n  S: x\n  repeat\n    S: y\n  end\nend\nC: a\n", "nothing tells where this ends"),
        ("at any time\n  S: x\n  either\n    C: y\n  or\n  end\nend\nC: a\n", "nothing tells where this ends"),
        (
            "at any time\n  together\n    S: x\n    repeat\n      S: y\n    end\n  end\nend\nC: a\n",
            "nothing tells where this ends",
        ),
    ] {
        let refused = refusal(text, Side::Client);
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn it_holds_from_where_it_stands_and_not_inside_itself() {
    let late = "C: a\nS: b\nat any time\n  S: PING\n  C: PONG\n  S: THANKS\nend\nC: c\nS: d\n";
    assert_eq!(fails(late, Side::Client, "PING\n").fault, Fault::Differs);
    goes(late, Side::Client, "b\nPING\nTHANKS\nd\n", "a\nc\nPONG\n");
    assert_eq!(fails(late, Side::Client, "b\nPING\nPING\n").fault, Fault::Differs);
    // The other side's end: what it begins is never said by itself.
    assert_eq!(said(late).1, "b\nd\n");
    goes(late, Side::Server, "a\nc\n", "b\nd\n");
}

#[test]
fn bytes_may_come_at_any_time_where_bytes_are_awaited() {
    let mqtt = "at any time\n  C hex: c0 00\n  S hex: d0 00\nend\nC hex: 10 {n:u8=2} {_:n bytes=6162}\nS hex: 20 00\nrepeat\n  C hex: 30 {x:1 bytes=01}\n  \
                S hex: 40 {x}\nend\nC hex: e0 00\n";
    let transcript = parse(mqtt);
    let [client, server] = [Side::Client, Side::Server].map(|side| prepare(&transcript, side, Carrier::Stream));
    for size in [100, 1] {
        let rehearsal = rehearse(&client, &server, |waiting| size.min(waiting));
        assert!(rehearsal.is_success(), "{rehearsal:?}");
    }
    let heard = [0xc0, 0, 0x10, 2, 1, 2, 0xc0, 0, 0xc0, 0, 0x30, 7, 0xc0, 0, 0xe0, 0];
    for piece in [1, 2, 100] {
        let (mut play, mut scratch, mut output) = (server.play(), Scratch::new(), Output::default());
        let (mut from, mut done) = (0, false);
        for upto in (0..heard.len()).step_by(piece).chain([heard.len()]) {
            let input = Input { bytes: &heard[from..upto], datagram: false, ended: false, now: Moment::default() };
            let step = play.step(&server, input, &mut scratch, &mut output);
            from += step.consumed;
            if let Next::End(ending) = step.next {
                assert!(ending.is_success(), "{ending:?}");
                done = true;
            }
        }
        assert!(done);
        assert_eq!(output.bytes, [0xd0, 0, 0x20, 0, 0xd0, 0, 0xd0, 0, 0x40, 7, 0xd0, 0]);
    }
}

#[test]
fn blocks_stand_inside_one_datagram() {
    let ssdp = "eol crlf\ntogether\n  C: M-SEARCH * HTTP/1.1\n  repeat\n    C: {_=HOST: 239.255.255.250:1900|MX: 1|ST: all}\n  end\n  C:\nend\n\
                together\n  S: HTTP/1.1 200 OK\n  in any order\n    S: ST: {_=all}\n    S: USN: {_=1}\n  end\n  either\n    S: EXT:\n  or\n    S: SERVER: x\n  end\n  S:\nend\nC: again\n";
    let transcript = parse(ssdp);
    let [client, server] = [Side::Client, Side::Server].map(|side| prepare(&transcript, side, Carrier::Datagram));
    let rehearsal = rehearse(&client, &server, |all| all);
    assert!(rehearsal.is_success(), "{rehearsal:?}");
    assert_eq!(
        rehearsal.from_client,
        b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMX: 1\r\nST: all\r\n\r\nagain\r\n"
    );
    assert_eq!(rehearsal.from_server, b"HTTP/1.1 200 OK\r\nST: all\r\nUSN: 1\r\nEXT:\r\n\r\n");
    // Headers in the order of another server, as one datagram.
    let (mut play, mut scratch, mut output) = (client.play(), Scratch::new(), Output::default());
    let heard: [&[u8]; 2] = [b"", b"HTTP/1.1 200 OK\r\nUSN: 2\r\nST: x\r\nSERVER: x\r\n\r\n"];
    for bytes in heard {
        let input = Input { bytes, datagram: !bytes.is_empty(), ended: false, now: Moment::default() };
        let step = play.step(&client, input, &mut scratch, &mut output);
        assert!(!matches!(&step.next, Next::End(Ending::Failed(_))), "{step:?}");
    }
    assert_eq!(output.datagrams.len(), 2, "what is asked is one datagram, and `again` another one");
    // The same over a stream.
    assert!(said(ssdp).1.ends_with("EXT:\r\n\r\n"));
    for text in
        ["together\n  C: a\n  repeat\n    S: b\n  end\nend\n", "together\n  C: a\n  C waits 1s\n  C closes\nend\n"]
    {
        assert!(refusal(text, Side::Client).contains("`together` holds what one side says"));
    }
}

#[test]
fn a_hole_stands_beside_one_that_says_where_it_ends() {
    let text = "C: Length:{_:/ ?/= }{n:int=5}\nS: {a:int=12}{b=px} {c:/[a-z]+/=abc}{d:/[0-9]*/=12} {n}\nC: {_:/ *(;[^ ]* )?/= }{x:word=foo}\nS: {h:hex=255}{_:/h?/=}\n";
    let (client, server) = said(text);
    assert_eq!((client.as_str(), server.as_str()), ("Length: 5\n foo\n", "12px abc12 5\nff\n"));
    goes(text, Side::Server, "Length:17\n ;q=1 bar\n", "12px abc12 17\nff\n");
    assert_eq!(fails(text, Side::Server, "Length:  17\n").fault, Fault::Differs);
    for (text, words) in [
        ("C: {a}{b=x}\n", "let the first say where it ends, as {a:int}"),
        ("C: {a:int=1}{b:int=2}\n", "takes all that this one could take"),
        ("C: {a:word=x}{b:word=y}\n", "takes all that this one could take"),
        ("C raw: {a:int=1}{b:1 bytes=x}\n", "write the first as {name:8 bytes}"),
    ] {
        let refused = refusal(text, Side::Server);
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn a_file_that_is_included_is_played_where_it_is_and_its_mistakes_name_both() {
    const FOLDER: Folder = Folder(&[
        ("parts/login.talk", "transcript 1\neol crlf\nS: 220 hi\ninclude user.talk\n"),
        ("parts/user.talk", "\u{feff}C: USER {user=ann}\r\nS: 331 {user}"),
        ("parts/wrong.talk", "C: a\nrepeat\n  C: {n:nonsense}\n"),
        ("parts/again.talk", "C: x\ninclude again.talk\n"),
        ("parts/lf.talk", "eol lf\nC: x\n"),
        ("parts/body.talk", "C: x\nS file: body.txt\n"),
        ("parts/body.txt", "the body\n"),
    ]);
    let parse = |text: &str| Transcript::parse_with("dir/main.talk", text.as_bytes(), &[], Some(&FOLDER));
    let main = "eol crlf\ninclude parts/login.talk\nrepeat 2\n  include parts/user.talk\nend\nC: {user} quits\n";
    // A name that the file captured is a value behind it, and in each round a new capture is none.
    let transcript = parse(&main.replace("  include parts/user.talk\n", "  C: NOOP\n  S: 250\n")).unwrap();
    let rehearsal = rehearsed(&transcript, FOLDER);
    assert_eq!(rehearsal.from_client, b"USER ann\r\nNOOP\r\nNOOP\r\nann quits\r\n");
    let said = |text: &str| parse(text).unwrap_err().to_string();
    let wrong = said("C: hello\ninclude parts/wrong.talk\n");
    assert!(wrong.contains("--> dir/parts/wrong.talk:3:6\n 3 |   C: {n:nonsense}"), "{wrong}");
    assert!(wrong.contains("= included by dir/main.talk:2\n"), "{wrong}");
    assert!(wrong.contains("`repeat` is never closed\n  --> dir/parts/wrong.talk:2:1"), "{wrong}");
    let clash = said("include parts/login.talk\nC: {x}\nset x = 1\n");
    assert!(clash.contains("--> dir/main.talk:2:4"), "{clash}");
    for (text, words) in [
        ("include parts/none.talk\nC: a\n", "`parts/none.talk` cannot be read: no such file"),
        ("include parts/again.talk\n", "includes itself: parts/again.talk → parts/again.talk"),
        ("include main.talk\nC: x\n", "`main.talk` includes itself"),
        ("include ../x.talk\nC: x\n", "is not below the transcript's folder"),
        ("include\nC: x\n", "write `include login.talk`"),
        ("eol crlf\nC: y\ninclude parts/lf.talk\n", "`eol` stands before the first message"),
    ] {
        let said = said(text);
        assert!(said.contains(words), "{said}");
    }
    // A path in an included file is beside that file.
    let transcript = parse("include parts/body.talk\nS closes\n").unwrap();
    let mut options = PlayOptions::new(Side::Server, Carrier::Stream);
    options.files = Some(Arc::new(FOLDER));
    assert!(Script::prepare(&transcript, &options).is_ok());
    // A line of another file is named as that file counts it.
    let hidden = said("include parts/user.talk\nC: {user}\nset user = x\n");
    assert!(hidden.contains("user"), "{hidden}");
    assert!(Transcript::parse("a.talk", b"include b.talk\nC: x\n", &[]).unwrap_err().to_string().contains("no folder"));
}

#[test]
fn a_path_goes_up_as_far_as_the_first_files_folder() {
    const FOLDER: Folder = Folder(&[
        ("sub/up.talk", "include ../login.talk\ninclude deep/../../sub/./more.talk\nS file: ../body.txt\n"),
        ("sub/more.talk", "C: more\n"),
        ("sub/out.talk", "include ../../x.talk\nC: x\n"),
        ("sub/file.talk", "C: x\nS file: ../../body.txt\n"),
        ("sub/round.talk", "C: x\ninclude ../sub/round.talk\n"),
        ("sub/first.talk", "C: x\ninclude ../main.talk\n"),
        ("login.talk", "C: USER ann\nS: ok\n"),
        ("body.txt", "the body\n"),
    ]);
    let parse = |text: &str| Transcript::parse_with("dir/main.talk", text.as_bytes(), &[], Some(&FOLDER));
    for text in ["include sub/up.talk\nS closes\n", "include sub/../sub/up.talk\n", "include sub/../sub/./up.talk\n"] {
        let transcript = parse(text).unwrap();
        let rehearsal = rehearsed(&transcript, FOLDER);
        assert_eq!(rehearsal.from_client, b"USER ann\nmore\n");
        assert_eq!(rehearsal.from_server, b"ok\nthe body\n");
    }
    for (text, words) in [
        ("include sub/out.talk\n", "`../../x.talk` is not below the transcript's folder"),
        ("include sub/file.talk\n", "`../../body.txt` is not below the transcript's folder"),
        ("include sub/../../dir/login.talk\n", "is not below the transcript's folder"),
        ("include sub/..\n", "is not below the transcript's folder"),
        ("include sub/round.talk\n", "includes itself: sub/round.talk → sub/round.talk"),
        ("include sub/first.talk\n", "includes itself: sub/first.talk → main.talk"),
    ] {
        let said = parse(text).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

/// What a server says to datagrams that come one behind the other, and whether it could go on behind each.
fn answered(text: &str, heard: &[&str]) -> (Vec<String>, bool) {
    let script = prepare(&parse(text), Side::Server, Carrier::Datagram);
    let (mut play, mut scratch) = (script.play(), Scratch::new());
    let (mut said, mut fits) = (vec![], true);
    for bytes in heard {
        let mut output = Output::default();
        let mut input = Input { bytes: bytes.as_bytes(), datagram: true, ended: false, now: Moment::default() };
        loop {
            let step = play.step(&script, input, &mut scratch, &mut output);
            fits &= !matches!(&step.next, Next::End(Ending::Failed(_)));
            input.datagram &= step.left;
            input.bytes = &input.bytes[step.consumed..];
            if !step.left && !matches!(step.next, Next::Flush) {
                break;
            }
        }
        let mut from = 0;
        for end in output.datagrams {
            said.push(String::from_utf8(output.bytes[from..end].to_vec()).unwrap());
            from = end;
        }
    }
    (said, fits)
}

#[test]
fn a_datagram_of_several_lines_may_come_at_any_time() {
    let text = "eol lf\nat any time\n  together\n    C: INVITE\n    C: Via: {again=1}\n    repeat\n      C: {_=x: y}\n    end\n    C:\n  end\n  \
                together\n    S: 200\n    S: Via: {again}\n    S:\n  end\nend\nat any time\n  C: hm\nend\n\
                together\n  C: INVITE\n  C: Via: {via=1}\n  C:\nend\ntogether\n  S: 180\n  S: Via: {via}\n  S:\nend\n\
                together\n  C: ACK\n  C:\nend\nC: ping\nS: pong\nrepeat\n  together\n    C: BYE\n    C: Via: {bye=2}\n  end\n  S: 200 {bye}\nend\n";
    let (invite, again) = ("INVITE\nVia: 7\n\n", "INVITE\nVia: 8\na: b\nc: d\n\n");
    let done = "200\nVia: 8\n\n";
    let heard =
        [invite, again, "hm\n", again, "ACK\n\n", again, "ping\n", again, "BYE\nVia: 3\n", again, "BYE\nVia: 4\n"];
    let (said, fits) = answered(text, &heard);
    assert!(fits, "{said:?}");
    assert_eq!(said, ["180\nVia: 7\n\n", done, done, done, "pong\n", done, "200 3\n", done, "200 4\n"]);
    // It is a whole datagram, and none that begins in another one.
    for heard in [&[invite, "ACK\nhm\n"][..], &[invite, "INVITE\nVia: 8\n\nmore\n"], &[invite, "hm\nhm\n"]] {
        assert!(!answered(text, heard).1, "{heard:?}");
    }
    // Over a stream the same lines come one behind the other.
    let stream = "INVITE\nVia: 7\n\nINVITE\nVia: 8\na: b\n\nACK\n\nhm\nping\n";
    for piece in [1, 48] {
        assert_eq!(played(text, Side::Server, stream.as_bytes(), piece).0, "180\nVia: 7\n\n200\nVia: 8\n\npong\n");
    }
    let packed =
        "at any time\n  together\n    C hex: 01\n    C hex: {x:1 bytes=02}\n  end\n  S: {x}\nend\nC: a\nS: b\n";
    assert!(Transcript::parse("t.talk", packed.as_bytes(), &[]).is_ok());
}

#[test]
fn who_has_stopped_sending_says_nothing_more() {
    for (text, line) in [
        ("C: a\nC stops sending\nC: b\nS: x\n", 3),
        ("C: a\nC stops sending\nS: x\nstarttls\nS: y\n", 4),
        ("repeat\n  C: a\n  S: b\n  C stops sending\nend\nS: x\n", 2),
        ("repeat 2\n  C stops sending\nend\nS: x\n", 2),
        ("C: a\neither\n  C: b\n  C stops sending\nor\n  C: c\nend\nC: d\nS: x\n", 8),
        ("C: a\nC2 connects\nC2: b\nC2 stops sending\nC: c\nC2: d\nS: x\n", 6),
    ] {
        let refused = refusal(text, Side::Client);
        assert!(refused.contains("the client has stopped sending, and says nothing more"), "{refused}");
        assert!(refused.contains(&format!("test.talk:{line}:")), "{refused}");
    }
    for text in [
        "C: a\nC stops sending\nS: b\nC closes\n",
        "repeat 1\n  C: a\n  C stops sending\nend\nS: x\n",
        "C: a\nC stops sending\nS: b\nS closes\nC connects\nC: again\nS: b\n",
    ] {
        said(text);
    }
}

/// The listener compares the first lines of all ways before it does anything of one of them.
#[test]
fn a_value_that_a_way_gives_is_not_there_when_the_ways_are_told_apart() {
    for text in [
        "C: {k=7}\nrepeat\n  let n = length {k}\n  C: n {n}\n  S: ok\nend\nC: x\n",
        "C: {k=7}\neither\n  set n = v{k}\n  C: n {n}\nor\n  C: other\nend\nS: x\n",
        "C: {k=7}\nnot C: never\nset n = v{k}\nC: n {n}\nS: x\n",
    ] {
        let refused = refusal(text, Side::Server);
        assert!(refused.contains("and {n} gets its value behind that"), "{refused}");
        // Who says the line plays it.
        prepare(&parse(text), Side::Client, Carrier::Stream);
    }
    said("C: {k=7}\nmaybe\n  C: perhaps\nend\nlet n = length {k}\nC: n {n}\nS: x\n");
    said("C: {k=7}\nlet n = length {k}\nrepeat\n  C: n {n}\n  let n = sum {n} 1\n  S: {n}\nend\nC: x\n");
}

#[test]
fn tls_that_begins_in_each_round_is_refused_before_it_is_played() {
    for times in ["", " 2"] {
        let refused = refusal(&format!("repeat{times}\n  C: a\n  S: b\n  starttls\nend\nC: x\n"), Side::Client);
        assert!(refused.contains("TLS has begun already in the second round"), "{refused}");
        let refused =
            refusal(&format!("starttls\nrepeat{times}\n  C: a\n  S: b\n  stoptls\nend\nC: x\n"), Side::Client);
        assert!(refused.contains("there is no TLS in the second round that could end"), "{refused}");
        parse(&format!("repeat{times}\n  C: a\n  S: b\n  starttls\n  C: c\n  S: d\n  stoptls\nend\nC: x\n"));
    }
    parse("repeat\n  either\n    C: tls\n    S: ok\n    starttls\n  or\n    C: noop\n    S: ok\n  end\nend\nC: x\n");
}

#[test]
fn a_block_that_may_be_left_out_has_its_way_round_named() {
    for block in
        ["together\n    S: a\n    S: b\n  end", "either\n    S: a\n  or\n    S: b\n  end", "repeat\n    S: a\n  end"]
    {
        let refused = refusal(&format!("C: x\nmaybe\n  {block}\nend\nS: c\n"), Side::Client);
        assert!(refused.contains("write `either`, this block, `or` and `end` instead"), "{refused}");
    }
    goes("C: x\neither\n  together\n    S: a\n    S: b\n  end\nor\nend\nS: c\n", Side::Client, "a\nb\nc\n", "x\n");
    goes("C: x\neither\n  together\n    S: a\n    S: b\n  end\nor\nend\nS: c\n", Side::Client, "c\n", "x\n");
}
