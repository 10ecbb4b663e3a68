//! `import`: sessions as RFCs print them become transcripts that pass `check`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::Path;

use support::{Server, assert_code, run, text};

const PAGE: &str = "
4.  Examples

   Here is a session.

      S: 220 mail.example ready
      C: EHLO client.example
      S: 250-mail.example
      S: 250 STARTTLS
      C: STARTTLS
      S: 220 go ahead
      C & S: <negotiate a TLS session>
      C: QUIT
      S: 221 bye

Hoffman                     Standards Track                     [Page 6]
\u{c}
RFC 3207        SMTP Service Extension - Secure SMTP       February 2002

      S: <closes connection>

5.  Another

      C: one
      S: two
";

#[test]
fn an_imported_session_plays_from_both_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (page, talk) = (folder.path().join("rfc.txt"), folder.path().join("rfc.talk"));
    fs::write(&page, PAGE).unwrap();
    let (page, talk) = (page.to_str().unwrap(), talk.to_str().unwrap());
    let printed = run(&["import", page], b"");
    assert_code(&printed, 0);
    let stderr = text(&printed.stderr);
    assert!(stderr.contains("rfc.txt:12: `<negotiate a TLS session>` is a comment; --starttls makes it"), "{stderr}");
    assert!(stderr.contains("has 2 sessions, at the lines 6, 24; this is number 1 (--session)"), "{stderr}");
    assert!(
        text(&printed.stdout).ends_with("S: 221 bye\n# <closes connection>\nS closes\n"),
        "{}",
        text(&printed.stdout)
    );
    assert_eq!(run(&["import", "-q", "-"], PAGE.as_bytes()).stdout, printed.stdout);
    assert_code(&run(&["import", page, "--starttls", "-o", talk], b""), 0);
    assert_code(&run(&["check", talk], b""), 0);
    let server = Server::start(&["--play", talk]);
    let pin = server.log.pin();
    assert_code(&run(&["talk", &server.address(), "--play", talk, "--pin", &pin], b""), 0);
    assert_eq!(text(&run(&["import", page, "--session", "2"], b"").stdout).lines().last(), Some("S: two"));
}

/// Set to rewrite what is expected; then read it, all of it.
const BLESS: &str = "SOCKEYE_BLESS";

#[test]
fn every_layout_of_a_page_becomes_the_transcript_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    assert!(pages.len() >= 15, "{} pages", pages.len());
    for page in pages {
        let expected = page.with_extension("talk");
        let printed = run(&["import", "-q", page.to_str().unwrap()], b"");
        assert_code(&printed, 0);
        if std::env::var_os(BLESS).is_some() {
            fs::write(&expected, &printed.stdout).unwrap();
        }
        assert_eq!(text(&printed.stdout), fs::read_to_string(&expected).unwrap(), "{}", page.display());
        assert_code(&run(&["check", "-q", expected.to_str().unwrap()], b""), 0);
    }
}

#[test]
fn a_page_without_a_session_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("page"), PAGE).unwrap();
    for (arguments, input, expected, says) in [
        (&["-"][..], &b"nothing of the kind\n"[..], 2, "has no session"),
        (&["-"], b"", 2, "has no session: it is empty"),
        (&["-"], b"<!DOCTYPE html><p>C: a", 2, "save it as plain text"),
        (&["-"], b"C: <open connection>\nS: <wait for it>\n", 2, "they are directions"),
        (&["-"], b"see C:\\path\nand a->b: x\nS::Name\n", 2, "no line begins with C: or S:"),
        (&["-"], b"\0\xff\xfe\x80 C: \0\n", 2, "it is neither text nor a capture"),
        (&["-"], b"\xfd7zXZ\0\0\x04", 2, "it is packed: unpack it with xz -d first"),
        (&["-"], b"\x28\xb5\x2f\xfd\x04", 2, "unpack it with zstd -d first"),
        (&["-", "--har"], b"\x1f\x8b\x08\0", 2, "it is packed: unpack it with gunzip first"),
        (&["-", "--har"], b"PK\x03\x04\x14\0", 2, "it is a zip archive: unpack it with unzip first"),
        (&["-", "--har"], b"BZh91AY", 2, "unpack it with bunzip2 first"),
        (&["-"], b"eol crlf\nC: a\nS: {b}\n", 2, "it is a transcript already"),
        (
            &["-"],
            b"host smtpd[1]: C: a\nhost smtpd[1]: S: b\n",
            2,
            "line 1 has `C:` behind `host smtpd[1]:`: take that off",
        ),
        (&["-"], b"C:\na\nS:\nb\n", 2, "its marks stand alone"),
        (&["-"], b"send: 'ehlo x\\r\\n'\nreply: b'250 ok'\n", 2, "its lines are quoted"),
        (&["-"], b"BZh91AY", 2, "unpack it with bunzip2 first"),
        (&["-"], b"PK\x03\x04\x14\0", 2, "it is a zip archive"),
        (&["-"], b"snoop\0\0\0\0\0\0\x02", 2, "it is a capture of snoop: editcap -F pcap"),
        (&["-"], b"%PDF-1.7\n", 2, "it is a PDF: save it as plain text"),
        (&["no-such-file"], b"", 26, "cannot read no-such-file"),
        (&[&path("page"), "--session", "3"], b"", 2, "has 2 sessions, and no number 3"),
        (&[&path("page"), "-o", "/dev/full"], b"", 23, "/dev/full"),
        (&[&path("page"), "-o", &path("no/folder")], b"", 23, "cannot make"),
    ] {
        let output = run(&[&["import"], arguments].concat(), input);
        assert_code(&output, expected);
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    let long = "   C: one\n   S: two\n\n   prose between them\n\n".repeat(20_000);
    let output = run(&["import", "-q", "-"], long.as_bytes());
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout).lines().filter(|line| *line == "S: two").count(), 20_000);
}

#[test]
fn who_is_the_client_is_told_where_the_page_does_not() {
    let page = b"   A: hello\n   B: hi\n   A: bye\n";
    let output = run(&["import", "-"], page);
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("A: is the client, since it speaks first (--client B: the other one)"));
    assert!(text(&output.stdout).ends_with("C: hello\nS: hi\nC: bye\n"));
    let output = run(&["import", "-", "--client", "B"], page);
    assert_code(&output, 0);
    assert!(text(&output.stdout).ends_with("S: hello\nC: hi\nS: bye\n"));
    // What may be prose is no conversation by itself.
    let prose = b"Name: Ann\nAge: 5\nName: Bob\nAge: 7\n";
    for (arguments, page, says) in [
        (&["import", "-"][..], &prose[..], "has no session: Name: and Age: stand before its lines, which may be prose"),
        (&["import", "-", "--client", "Z"], page, "has no session: no line is marked as said by `Z`"),
        (&["import", "-", "--client", "B", "--session", "2"], page, "has one session, and no number 2"),
    ] {
        let output = run(arguments, page);
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
}

#[test]
fn bytes_that_are_no_text_are_written_as_bytes() {
    for (page, wanted) in [
        (&b"C: M\xfcller\nS: 250 ok\n"[..], "C: M{0xfc}ller\nS: 250 ok\n"),
        (b"C: \xe4\xf6 \xc3\xa4\nS: ok\n", "C: {0xe4}{0xf6} \u{e4}\nS: ok\n"),
        (b"A: a\xff\nB: b\nA: \x80\n", "C: a{0xff}\nS: b\nC: {0x80}\n"),
    ] {
        let output = run(&["import", "-"], page);
        assert_code(&output, 0);
        assert!(text(&output.stdout).ends_with(wanted), "{}", text(&output.stdout));
        assert!(text(&output.stderr).contains("is not UTF-8 throughout"), "{}", text(&output.stderr));
    }
}

#[test]
fn what_check_would_warn_of_is_told() {
    for page in ["C: HELO a\\r\\n\nS: ok\n", "C: HELO\u{a0}a\nS: ok\n", "C: QUIT   # leave\nS: bye\n"] {
        let output = run(&["import", "-"], page.as_bytes());
        assert_code(&output, 0);
        let told = text(&output.stderr);
        assert!(told.contains("warning: the transcript of -:3:"), "{page}{told}");
    }
    // A line that is too long is named, and not that the other end went away for it.
    for (mark, other) in [("C:", "S:"), ("S:", "C:"), ("C->S:", "S->C:")] {
        let page = format!("{other} a\n{mark} {}\n{other} b\n", "x".repeat(70_000));
        let output = run(&["import", "-"], page.as_bytes());
        assert!(!output.status.success());
        assert!(!text(&output.stderr).contains("closed early"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_page_in_utf_16_is_read() {
    let page = "   C: HELO caf\u{e9}\r\n   S: 250 ok\r\n";
    let units: Vec<u16> = std::iter::once(0xfeff).chain(page.encode_utf16()).collect();
    for bytes in [
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ] {
        let output = run(&["import", "-q", "-"], &bytes);
        assert_code(&output, 0);
        assert!(text(&output.stdout).ends_with("C: HELO caf\u{e9}\nS: 250 ok\n"), "{}", text(&output.stdout));
    }
    // Where two ways are told apart, the word is a remark and no part of the line above.
    for or in ["[or]", "(or)", "<or>", "-- or --"] {
        let output = run(&["import", "-q", "-"], format!("   C: a\n   S: b\n   {or}\n   S: c\n").as_bytes());
        assert_code(&output, 0);
        assert!(text(&output.stdout).contains(&format!("S: b\n# {or}\nS: c\n")), "{}", text(&output.stdout));
    }
}
