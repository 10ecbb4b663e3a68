//! Pages whose lines have arrows without names before them.

use super::{guesses, imported, said, whole};
use crate::import::{Import, import};

#[test]
fn what_points_away_is_said_by_the_client() {
    for (to, back) in [
        ("->", "<-"),
        (" ->", "<- "),
        ("~>", "<~"),
        (">", "<"),
        (">>", "<<"),
        (">>>", "<<<"),
        ("-->", "<--"),
        ("=>", "<="),
        ("==>", "<=="),
        ("→", "←"),
    ] {
        let page = format!("some words\n\n{back} 220 hi\n{to} EHLO a\n{back} 250-a\n{back} 250 b\n{to}\n{to} QUIT\n");
        let imported = whole(&page);
        assert_eq!(
            said(&imported.text),
            ["S: 220 hi", "C: EHLO a", "S: 250-a", "S: 250 b", "C:", "C: QUIT"],
            "{page}{}",
            imported.text
        );
        assert!(guesses(&page).iter().any(|guess| guess.contains("stands before what the client says")), "{page}");
    }
}

#[test]
fn what_swaks_prints() {
    let page = "=== Trying localhost:25...
=== Connected to localhost.
<-  220 mail.example ready
 -> EHLO client.example
<-  250-mail.example
<-  250 STARTTLS
 -> STARTTLS
<-  220 go ahead
=== TLS started with cipher TLSv1.3:TLS_AES_256_GCM_SHA384:256
 ~> MAIL FROM:<a@b.example>
<~  250 ok
 ~> RCPT TO:<c@d.example>
<~* 550 no
 ~> QUIT
<~  221 bye
=== Connection closed with remote host.
";
    let wanted = [
        "S: 220 mail.example ready",
        "C: EHLO client.example",
        "S: 250-mail.example",
        "S: 250 STARTTLS",
        "C: STARTTLS",
        "S: 220 go ahead",
        "C: MAIL FROM:<a@b.example>",
        "S: 250 ok",
        "C: RCPT TO:<c@d.example>",
        "S: 550 no",
        "C: QUIT",
        "S: 221 bye",
    ];
    let plain = imported(page, 1, false);
    let lines: Vec<&str> = said(&plain.text).iter().map(|line| line.trim_end()).collect();
    assert_eq!(lines.len(), wanted.len(), "{}", plain.text);
    assert!(
        lines.iter().zip(wanted).all(|(line, wanted)| line.split_whitespace().eq(wanted.split_whitespace())),
        "{lines:?}"
    );
    assert!(plain.text.contains("# === Connection closed with remote host.\n"), "{}", plain.text);
    assert!(imported(page, 1, true).text.contains("\nstarttls\n"));
}

#[test]
fn what_curl_prints() {
    let body: String = (0..20).map(|n| format!("<p>{n}</p>\n")).collect();
    for (body, rest) in [("hello\n", None), (body.as_str(), Some("15 further lines without an arrow"))] {
        let page = format!(
            "*   Trying 127.0.0.1:80...
* Connected to localhost (127.0.0.1) port 80
> GET / HTTP/1.1
> Host: localhost
> 
* Request completely sent off
< HTTP/1.1 200 OK
< Content-Length: 6
< 
{body}* Connection #0 to host localhost left intact
> GET /again HTTP/1.1
>
< HTTP/1.1 404 Not Found
<
"
        );
        let imported = whole(&page);
        assert_eq!(
            said(&imported.text),
            [
                "C: GET / HTTP/1.1",
                "C: Host: localhost",
                "C:",
                "S: HTTP/1.1 200 OK",
                "S: Content-Length: 6",
                "S:",
                "C: GET /again HTTP/1.1",
                "C:",
                "S: HTTP/1.1 404 Not Found",
                "S:"
            ],
            "{}",
            imported.text
        );
        let first = body.lines().next().unwrap();
        assert!(guesses(&page).iter().any(|guess| guess.contains(&format!("10 `{first}` is a comment"))), "{page}");
        if let Some(rest) = rest {
            assert!(imported.text.contains(&format!("# {rest}\n")), "{}", imported.text);
        }
    }
}

#[test]
fn arrows_that_mark_no_lines_are_none() {
    for page in [
        // Mail that is quoted, and prompts.
        "> I said\n> this\nand you?\n",
        ">>> print(1)\n1\n>>> print(2)\n",
        // What diff prints.
        "3c3\n< old\n---\n> new\n",
        "1,2d0\n< old\n5a4\n> new\n",
        "-> a\n-> b\n",
        "<a> b\n>c\n",
        "->a\n<-b\n",
        "->\n<-\n",
        "- a\n< b\n",
    ] {
        assert_eq!(import(page, Import::default()), None, "{page}");
    }
    // Marks of letters and names come first.
    for page in ["> C: a\n> S: b\n\n< c\n", "C->S: a\nS->C: b\n"] {
        assert_eq!(said(&whole(page).text)[..2], ["C: a", "S: b"], "{page}");
    }
}
