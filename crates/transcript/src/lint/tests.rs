//! Every kind of slip with several of its members, and what must not be taken for one.

use crate::Transcript;

fn warned(text: &str) -> Vec<String> {
    let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let told = transcript.warnings().iter().map(|finding| {
        format!("{}:{} {}; {}", finding.line, finding.column, finding.message, finding.help.clone().unwrap_or_default())
    });
    told.collect()
}

/// Each text has one warning that says all of these words.
fn each_is_told(cases: &[(&str, &[&str])]) {
    for (text, words) in cases {
        let told = warned(text);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        for word in *words {
            assert!(told[0].contains(word), "{text}: {word}: {told:?}");
        }
    }
}

fn none_is_told(texts: &[&str]) {
    for text in texts {
        assert_eq!(warned(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_mistyped_name_is_told_beside_the_one_that_was_meant() {
    each_is_told(&[
        ("C: {name=Ann}\nS: Hi, {nmae}!\n", &["2:8 {nmae} is a new name", "did you mean {name}?"]),
        ("C: {name=Ann}\nS: Hi, {nam}!\n", &["{nam} is a new name"]),
        ("C: {name=Ann}\nS: Hi, {names}!\n", &["{names} is a new name"]),
        ("C: {name=Ann}\nS: Hi, {Name}!\n", &["{Name} is a new name"]),
        ("C: {user_name=Ann}\nS: Hi, {username}!\n", &["did you mean {user_name}?"]),
        ("C: {banner=Ann}\nS: Hi, {bannar}!\n", &["did you mean {banner}?"]),
        ("C: {box=1}\nS: {boxs}\n", &["did you mean {box}?"]),
        ("C: {address=1}\nS: {addresses}\n", &["did you mean {address}?"]),
        ("C: {name=Ann}\nS: Hi, {name}!\nS: Bye, {nmae}!\n", &["3:9"]),
        ("set token = abc\nC: hi\nS: {tokne}\n", &["did you mean {token}?"]),
        ("C: {name=Ann}\nS: Hi, {nmae=Ann}!\n", &["did you mean {name}?"]),
        ("C: {Name=Ann}\nS: Hi, {name=Bob}!\n", &["did you mean {Name}?"]),
        ("C: {user_name=Ann}\nS: Hi, {username=Bob}!\n", &["did you mean {user_name}?"]),
        ("set token = abc\nC: {tokne=x}\nS: ok\n", &["2:4 {tokne} is a new name", "did you mean {token}?"]),
        ("set user = abc\nC: {usr=x}\nS: ok\n", &["nothing uses the value of user"]),
        ("C: hi {user_name=Ann}\nS: Hi, {user-name}!\n", &["`{user-name}` is text", "write `{user_name}`"]),
    ]);
    none_is_told(&[
        "C: {host=a} {port=1}\nS: {post}\n",
        "C: {line1=a}\nC: {line2=b}\nS: {line3}\n",
        "C: {a=1} {b=2}\nS: {c}\n",
        "C: {from=a}\nC: {to=b}\nS: {form=c}\n",
        "C: {key=a}\nS: {keys=3}\n",
        "C: {name=Ann}\nS: {_}\n",
        "S: {user} {users}\n",
    ]);
}

#[test]
fn defaults_and_patterns_of_a_name_that_has_a_value_are_told() {
    each_is_told(&[
        ("C: {name=Ann}\nS: Hi, {name=Bob}!\n", &["{name} has its value from line 1: this default", "write {name}"]),
        ("C: {n:int=5}\nS: got {n:int}\n", &["this pattern is never looked at"]),
        ("set n = 5\nC: hi\nS: {n:int=7}\n", &["this pattern and this default"]),
        ("set a = x\nlet n = length {a}\nC: hi\nS: {n=1}\n", &["from line 2"]),
        ("C: {a=1} {a=2}\n", &["this default"]),
    ]);
    none_is_told(&[
        "repeat\n  C: {name=Ann|Bob}\n  S: Hi, {name}!\nend\nC: exit\n",
        "either\n  C: a {x=1}\nor\n  C: b {x=2}\nend\n",
        "repeat 2\n  C: {x=1}\nend\n",
    ]);
    // The value of --set comes in place of a default.
    let given = Transcript::parse("x", b"C: {name=Ann}\nS: {name}\n", &["name"]).unwrap();
    assert_eq!(given.warnings(), []);
}

#[test]
fn text_that_looks_like_a_hole_is_told_with_the_hole() {
    each_is_told(&[
        ("C: {user-name=x}\n", &["`{user-name=x}` is text", "write `{user_name=x}`", "`{0x7b}user-name=x}`"]),
        ("C: { name = x }\n", &["write `{name=x}`"]),
        ("C: {name =x}\n", &["write `{name=x}`"]),
        ("C: hi { name=x}\n", &["1:7", "write `{name=x}`"]),
        ("C: {user.name=x}\n", &["write `{user_name=x}`"]),
        ("C: {1st=x}\n", &["write `{_1st=x}`"]),
        ("C: {naïve=x}\n", &["write `{na_ve=x}`"]),
        ("C: { n:int }\n", &["write `{n:int}`"]),
        ("C: {n :int=5}\n", &["write `{n:int=5}`"]),
        ("C: {/[a-z]+/}\n", &["write `{_:/[a-z]+/}`"]),
        ("C: {:int}\n", &["write `{_:int}`"]),
        ("C: {=Ann}\n", &["write `{_=Ann}`"]),
        ("C: {8 bytes}\n", &["write `{_:8 bytes}`"]),
        ("C: {*}\n", &["write `{_}`"]),
        ("C: {.*}\n", &["write `{_}`"]),
        ("C: {0X0A}\n", &["write `{0x0a}`"]),
        ("C: {name|Ann}\n", &["write `{name=Ann}`"]),
        ("C: {name=Ann}\nS: Hi, { name }\n", &["2:8", "write `{name}`"]),
        ("C: {name=Ann}\nS: Hi, {name!\n", &["no `}` ends it", "write `{name}`"]),
        ("C: Hi, {name\n", &["no `}` ends it"]),
        ("C: {int}\n", &["this hole has the name int", "write `{_:int}`"]),
        ("C: hi{CRLF}\n", &["write `{0x0d0a}`"]),
        ("C: hi{x0a}\n", &["write `{0x0a}`"]),
    ]);
}

#[test]
fn a_regex_or_a_comparison_in_the_way_of_other_languages_is_told() {
    let told = |hole: &str, words: &str| {
        let text = format!("C: {hole}\nS: ok\n");
        each_is_told(&[(&text, &[words])]);
    };
    told("{id/[0-9]+/}", "write `{id:/[0-9]+/}`");
    told("{id /[a-z]*/}", "write `{id:/[a-z]*/}`");
    told("{id~[0-9]+}", "write `{id:/[0-9]+/}`");
    told("{id ~ \\d+}", "write `{id:/\\d+/}`");
    told("{id ~/^a/}", "write `{id:/^a/}`");
    told("{id=~/[0-9]+/}", "this is the default `~/[0-9]+/`");
    told("{id=~[0-9]+}", "write `{id:/[0-9]+/}`");
    told("{id==1}", "write `{id=1}`");
    told("{ _ }", "write `{_}`");
    none_is_told(&[
        "C: {a/b/}\nS: ok\n",
        "C: {id~1}\nS: ok\n",
        "C: {home=~/files}\nS: ok\n",
        "C: {home=~}\nS: ok\n",
        "C: {pad===}\nS: ok\n",
        "C: {pad==}\nS: ok\n",
        "C: { __ }\nS: ok\n",
    ]);
}

#[test]
fn a_hole_that_ends_early_or_holds_too_much_is_told() {
    each_is_told(&[
        ("C: {body={\"a\":{\"b\":1}}}\n", &["1:10 this default ends at the first `}`", "write `set body = …`"]),
        ("C: {url=http://x/{id}}\n", &["it is `http://x/{id`"]),
        ("C: {a=x{y}z}\n", &["it is `x{y`"]),
        ("C: {n=5:int}\n", &["write `{n:int=5}`"]),
        ("C: {n=abc:word}\n", &["write `{n:word=abc}`"]),
        ("C: {n=5:/[0-9]/}\n", &["write `{n:/[0-9]/=5}`"]),
        ("C: {n=abcd:4 bytes}\n", &["write `{n:4 bytes=abcd}`"]),
        ("C: {n=a:/\\w+/}\n", &["write `{n:/\\w+/=a}`"]),
        ("repeat\n  C: {n=a | b}\nend\n", &["the spaces beside |", "write `a|b`"]),
        ("C: Hi {name=\"Ann\"}\n", &["the quotes belong to the default", "write `{name=Ann}`"]),
        ("C: {a=x\\}y}\n", &["`{0x7d}`"]),
        ("C: {name=Ann}\nS: Hi, {{name}}!\n", &["2:8 the outer braces are text", "write `{name}`"]),
        ("C: {name=Ann}\nS: Hi, \\{name}!\n", &["`{0x7b}name`"]),
    ]);
    none_is_told(&[
        "C: {a=x{0x7b}y{0x7d}}\n",
        "C: {\"name\":{name=\"Ann\"}}\n",
        "C: {at=http://a/b:80}\n",
        "C: {at=host:/srv/data}\n",
        "C: {at=host:srv/}\n",
        "C: {at=C:/}\n",
        // A path that ends with a slash is no regex.
        "C: {url=http://a/}\n",
        "C: {at=ftp://a/b/|http://c/}\n",
        "C: {at=x:/usr/}\n",
    ]);
}

#[test]
fn escapes_comments_and_what_cannot_be_seen_are_told() {
    each_is_told(&[
        ("S: hello\\r\\n\n", &["1:9 `\\r\\n` is no escape", "leave it out"]),
        ("S: hello\\n\n", &["leave it out"]),
        ("S: \"hello\\n\"\n", &["leave it out"]),
        ("S: hello\\nworld\n", &["each line as a statement"]),
        ("S: a\\tb\n", &["write `{0x09}`"]),
        ("S: \\x00\\x01\n", &["write `{0x0001}`"]),
        ("S: \\033[1m\n", &["write `{0x1b}`"]),
        ("S: a\\0\n", &["write `{0x00}`"]),
        ("S: \\u00e9\n", &["write `{0xc3a9}`"]),
        ("C raw: GET / HTTP/1.1\\r\\n\n", &["write `{0x0d0a}`"]),
        ("S: hello<CRLF>\n", &["1:9 `<CRLF>` is said", "leave it out"]),
        ("S: 250 ok<CR><LF>\n", &["1:10 `<CR><LF>`"]),
        ("S: hello%0d%0a\n", &["1:9 `%0d%0a`"]),
        ("S: hello\u{b6}\n", &["1:9 `\u{b6}`"]),
        ("S: hello # greet\n", &["1:10 a comment", "`{0x23}`"]),
        ("C: QUIT  # and go\n", &["a comment"]),
        ("C: QUIT // and go\n", &["1:9 a comment", "`{0x2f}/`"]),
        ("S: 250 ok  // all is well\n", &["a comment"]),
        ("set a = x # the letter\nC: {a}\n", &["a comment"]),
        ("S: hello \n", &["1:9 a space that cannot be seen", "`{0x20}`"]),
        ("S: hello \t \n", &["3 spaces", "`{0x200920}`"]),
        ("C raw: login: \n", &["`{0x20}`"]),
        ("S:  \n", &["a space"]),
        ("S: a\u{a0}b\n", &["a no-break space (U+00A0)", "`{0xc2a0}`"]),
        ("S: a\u{200b}b\n", &["(U+200B)"]),
        ("S: a\rb\n", &["a carriage return"]),
        ("S: a\u{1b}[1mb\n", &["a control character", "`{0x1b}`"]),
    ]);
}

#[test]
fn other_languages_signs_around_a_name_are_told() {
    each_is_told(&[
        ("C: {name=Ann}\nS: Hi ${name}\n", &["the `$` is said", "`{0x24}{name}`"]),
        ("C: {name=Ann}\nS: ${name}\n", &["the `$` is said"]),
        ("C: {name=Ann}\nS: Hi $name!\n", &["write `{name}`"]),
        ("C: {name=Ann}\nS: Hi $(name)\n", &["write `{name}`"]),
        ("C: {name=Ann}\nS: Hi %name%\n", &["write `{name}`"]),
        ("C: {name=Ann}\nS: Hi %(name)s\n", &["write `{name}`"]),
        ("C: {name=Ann}\nS: Hi <name>\n", &["write `{name}`"]),
        ("C: {name=Ann}\nS: Hi %s\n", &["`%s` is said as it stands"]),
        ("S: %d bytes\n", &["`{count:int=1}`"]),
    ]);
    // Each is told, and no more of the line is marked than it has.
    for (said, marked) in [
        ("Hi $name and %name%!", &["$name", "%name%"][..]),
        ("$name, $(name) or <name>", &["$name", "$(name)", "<name>"]),
        ("all: %(name)s $name", &["%(name)s", "$name"]),
    ] {
        let text = format!("C: {{name=Ann}}\nS: {said}\n");
        let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap();
        let told = transcript.warnings().iter().map(|finding| &said[finding.column - 4..][..finding.width]);
        assert_eq!(told.collect::<Vec<_>>(), marked, "{said}");
    }
}

#[test]
fn bytes_in_another_notation_are_told() {
    each_is_told(&[
        ("C: {0X41}\n", &["bytes are written with 0x", "`{0x41}`"]),
        ("C: a{0d}\n", &["`{0x0d}`"]),
        ("C: a{0A}b\n", &["`{0x0a}`"]),
        ("C: {0d 0a}\n", &["`{0x0d0a}`"]),
        ("C: {1B}[2J\n", &["`{0x1b}`"]),
        ("C: {U+00e9}\n", &["bytes are written with 0x"]),
    ]);
}

#[test]
fn statements_that_are_written_as_messages_are_told() {
    each_is_told(&[
        ("S: waits 1s\n", &["the server says `waits 1s`", "write `S waits 1s`"]),
        ("S: closes\n", &["write `S closes`", "`S: {0x63}loses`"]),
        ("C: stops sending\n", &["write `C stops sending`"]),
        ("C: resets\n", &["write `C resets`"]),
        ("C: repeat\n", &["write `repeat`"]),
        ("C: repeat 3\n", &["write `repeat 3`"]),
        ("C: in any order\n", &["write `in any order`"]),
        ("S: raw: login\n", &["write `S raw: login`"]),
        ("S: hex: 0a\n", &["write `S hex: 0a`"]),
        ("C: eol crlf\n", &["write `eol crlf`"]),
        ("C: gap 100ms\n", &["write `gap 100ms`"]),
    ]);
    assert_eq!(warned("C: repeat\nC: a\nC: end\n").len(), 2);
    none_is_told(&[
        "C: end\n",
        "C: or\n",
        "C: STARTTLS\n",
        "C: starttls\n",
        "S: waits for it\n",
        "C: repeat after me\n",
    ]);
}

#[test]
fn what_is_computed_or_included_by_the_wrong_word_is_told() {
    each_is_told(&[
        ("set id = random 16 hex\nC: {id}\n", &["`set` gives id these words", "write `let id = random 16 hex`"]),
        ("set id = random uuid\nC: {id}\n", &["write `let id = random uuid`"]),
        ("set now = time HTTP\nC: {now}\n", &["write `let now = time HTTP`", "`set now = {0x74}ime HTTP`"]),
        ("set a = x\nset n = length {a}\nC: {n}\n", &["write `let n = length {a}`"]),
        ("set a = x\nset n = crc32 {a}\nC: {n}\n", &["write `let n = crc32 {a}`"]),
        (
            "set body = x\nlet n = length body\nC: {n} {body}\n",
            &["2:16 `body` is text", "write `let n = length {body}`"],
        ),
        ("set x = 1\nlet c = crc16 x\nC: {c} {x}\n", &["write `let c = crc16 {x}`"]),
        ("set k = 1\nset x = 2\nlet c = hmac-md5 k x\nC: {c} {x}\n", &["write `let c = hmac-md5 KEY {x}`"]),
        ("C: {random 16 hex}\n", &["is text and no hole", "`let id = random 16 hex` above, and `{id}`"]),
        ("C: at {time HTTP}\n", &["`let now = time HTTP` above"]),
        ("S: include x.talk\n", &["write `include x.talk`, without `S:`"]),
        ("S: not C: x\n", &["write `not C: x`"]),
        ("C: let id = random 16 hex\n", &["write `let id = random 16 hex`"]),
        ("C: let n = length x\n", &["write `let n = length x`"]),
        ("#include \"x.talk\"\nC: a\n", &["1:1 this is a comment", "write `include x.talk`"]),
        ("S: Closes\n", &["write `S closes`"]),
        ("S: closes.\n", &["write `S closes`"]),
        ("C: STOPS SENDING\n", &["write `C stops sending`"]),
    ]);
    none_is_told(&[
        "set line = random words\nC: {line}\n",
        "set t = time flies\nC: {t}\n",
        "set f = length\nC: {f}\n",
        "set a = x\nlet n = length it\nC: {n} {a}\n",
        "S: include me\nC: not now\n",
        "# include x.talk\nC: a\n",
    ]);
}

#[test]
fn signs_of_other_languages_in_and_around_braces_are_told() {
    let known = |text: &str| format!("C: {{name=Ann}}\nS: Hi {text} {{name}}\n");
    for (text, words) in [
        ("{name[0]}", "write `{name}`"),
        ("{name.first}", "write `{name}`"),
        ("{name!r}", "write `{name}`"),
        ("{name|upper}", "write `{name}`"),
        ("{name()}", "write `{name}`"),
        ("{@name}", "write `{name}`"),
        ("{$name}", "write `{name}`"),
        ("{name?}", "write `{name}`"),
        ("[[name]]", "write `{name}`"),
        ("｛name｝", "write `{name}`"),
        ("{other＝Ann}", "write `{other=Ann}`"),
        ("{other：int}", "write `{other:int}`"),
        ("{other = \"Ann\"}", "write `{other=Ann}`"),
        ("｛other＝Ann｝", "write `{other=Ann}`"),
    ] {
        each_is_told(&[(&known(text), &[words])]);
    }
    none_is_told(&[
        "C: {name=Ann}\nS: a[[0]] [name] {name}\n",
        "C: {name=Ann}\nS: f() { name(1); } {name}\n",
        "C: {a = \"b\", c = \"d\"}\n",
        "C: {other!}\nS: {a,b} {other?x} {a;b}\n",
        "C: { other | upper }\n",
    ]);
    each_is_told(&[("C: {other|upper}\n", &["behind its name a hole has", "write `{other=upper}`"])]);
    each_is_told(&[
        ("S: hello%0d%0a\n", &["`%0d%0a` is said as it stands"]),
        ("S: hello&#13;&#10;\n", &["is said as it stands"]),
        ("S: hello\\\\r\\\\n\n", &["is said as it stands"]),
        ("S: hello /* a note */\n", &["1:10 a comment stands on a line of its own"]),
    ]);
    none_is_told(&["C: GET /?a=%0d%0a\n", "C: Accept: text/html, */*\n", "C: SELECT /* all */ 1\n"]);
}

#[test]
fn a_wide_line_above_a_narrow_one_in_any_order_is_told() {
    each_is_told(&[
        ("C: a\nin any order\n  S: 250-{_=x}\n  S: 250-DSN\nend\n", &["3:3", "put line 4 above it"]),
        ("C: a\nin any order\n  S: 250-{_=x}\n  S: 250-SIZE {n:int=3}\nend\n", &["put line 4 above it"]),
        ("C: a\nin any order\n  S: {_=x}\n  S: b\nend\n", &["put line 4 above it"]),
        ("C: a\nin any order\n  S: {_:word=x}\n  S: {_:int=3}\nend\n", &["put line 4 above it"]),
    ]);
    none_is_told(&[
        "C: a\nin any order\n  S: 250-DSN\n  S: 250-{_=x}\nend\n",
        "C: a\nin any order\n  S: {x=1}\n  S: {y=2}\nend\n",
        "C: a\nin any order\n  S: b\n  S: b\nend\n",
    ]);
}

#[test]
fn raw_bytes_that_should_count_are_told() {
    each_is_told(&[
        ("C hex: {len:4 bytes} {body:len bytes}\n", &["1:8 {len} is raw bytes", "{body:16 bytes}"]),
        ("C hex: {len:2 bytes=0005}\nC hex: {body:len bytes=0102030405}\n", &["{len} is raw bytes"]),
        ("C: {a}\nlet n = md5 {a}\nC: {body:n bytes=x}\n", &["n is what `md5` makes"]),
    ]);
    none_is_told(&[
        "C raw: {len:4 bytes}{body:len bytes}\n",
        "C: {len:int=3}\nC raw: {body:len bytes=abc}\n",
        "C hex: {len:2 bytes=3033}\nC hex: {body:len bytes=010203}\n",
        "set a = x\nlet n = length {a}\nC: {body:n bytes=x}\n",
    ]);
}

#[test]
fn what_protocols_say_is_no_slip() {
    none_is_told(&[
        "C: MAIL FROM:<ann@a.example> SIZE=1000\n",
        "C: RCPT TO:<{to=bob@b.example}>\nS: 250 <{to}> ok\n",
        "S: 354 End data with <CR><LF>.<CR><LF>\n",
        "eol crlf\nset value = hello\nlet n = length {value}\nC: ${n}\nC: {value}\nS: ${n}\nS: {value}\n",
        "C: $3\nC: *2\nC: SET\nS: $-1\nS: ${len:int=3}\n",
        "C: echo $HOME && ls -la | grep '^d' # x\n".trim_end_matches(" # x\n"),
        "C: for i in $(seq 1 3); do echo \"$i\"; done\n",
        "C: awk '{ print $1 }' file\n",
        "C: f() { echo hi; }\n",
        "C: printf '%s\\n' hello\n",
        "C: date +%s\n",
        "S: {\"ok\":true,\"list\":[{\"a\":1},{}],\"text\":\"one\\ntwo\\u00e9\"}\n",
        "S: { \"ok\": true }\n",
        "S: {\"a\":{\"b\":{}}}\n",
        "C: {\"query\":\"{ me { name } }\"}\n",
        "C: query { user { id name } }\n",
        "C: A1 APPEND INBOX (\\Seen \\Draft) {310}\nC: A2 LOGIN {5+}\n",
        "S: * LIST (\\Noselect \\HasChildren) \"/\" foo\n",
        "S: * LIST (\\noselect) \"/\" foo\n",
        "C: USER CORP\\tom\nC: cd C:\\new\\table\nC: \\\\host\\share\\temp\n",
        "S: body { color : red; }\n",
        "C: JOIN #chan\nC: PRIVMSG #chan :you are # 1\nS: :irc 353 ann = #chan :@ann bob\n",
        "S raw: root@host:~# ls\nS raw: / #\n",
        "C: GET /search?q=%d0%b0&x=100%25 HTTP/1.1\n",
        "C: Content-Type: multipart/form-data; boundary=\"x{y}\"\n",
        "C: <message to='ann@a.example' type='chat'><body>hi</body></message>\n",
        "C: <name>{name=Ann}</name>\nS: <name>\n",
        "C: %PDF-1.4\nS: 100% sure, 50 % off\n",
        "C: /^[a-z]{2,3}\\d+$/\n",
        "C: \\d users\nC: \\timing\n",
        "C: LDAP {SSHA1}abc {3F2504E0-4F89-11D3-9A0C-0305E82C3301}\n".replace("{SSHA1}abc ", "").as_str(),
        "S: <b>{{</b>\nS: }}\n",
        "C: EVAL \"return {KEYS[1],ARGV[1]}\" 1 key value\n",
        "C: a || b && c\nC: x := y\nC: don't say \"no\"\n",
        "C: # a heading\nC: #!/bin/sh\n",
        "C: GET http://a/ HTTP/1.1\nS: see // 1 and //x\nC: // said from the beginning\nS: \"a // b\"\n",
        "C: set foo 0 0 3\nC: end\nS: END\n",
        "S: 家族 👨\u{200d}👩\u{200d}👧 “quoted” — déjà vu\n",
        "C: file://{host=a}/b\nS: https://{host}/#top\n",
        "C: if (a) { return b }\n",
        "C: printf(\"%d\\n\", 1)\n",
    ]);
}

#[test]
fn a_message_that_means_something_elsewhere_is_told() {
    each_is_told(&[
        ("C: a\nS: wait 1s\n", &["it is no statement", "write `S waits 1s`"]),
        ("C: a\nS: sleep 500ms\n", &["write `S waits 500ms`"]),
        ("C: a\nS: closes the connection\n", &["write `S closes`"]),
        ("C: a\nS: disconnects\n", &["write `S closes`"]),
        ("C: a\nS: <empty line>\n", &["an empty line is `S:` and nothing behind it"]),
        ("C: a\nS: .*\n", &["write `{_}`", "`{0x2e}*`"]),
        ("C: a\nS: ^hello [a-z]+$\n", &["`{_:/hello [a-z]+/}`"]),
        ("C: 0x01 0xff\nS: ok\n", &["write `C hex: 01 ff`"]),
        ("C: hello \\\nS: ok\n", &["a backslash at the end joins no lines", "`{0x5c}`"]),
    ]);
    none_is_told(&[
        "C: sleep well\nS: wait\n",
        "C: 0x1f\nS: 0xzz 0x01\n",
        "C: dir C:\\\nS: $5^\n",
        "C: *\nS: a ...\n",
        "C: a\nS: ..\nS: .\n",
        "C: a\nS: x {{1}} { foo } {{}}\n",
        "C: close\nS: bye\n",
    ]);
}

#[test]
fn holes_of_templates_and_lines_left_out_are_told() {
    each_is_told(&[
        ("C: hello {{ name }}\nS: ok\n", &["`{{ name }}` is text and no hole", "write `{name}`"]),
        ("C: {name=Ann}\nS: hi {{name }}\n", &["`{{name }}` is text", "write `{name}`"]),
        ("C: hello {{ name}}\nS: ok\n", &["write `{name}`"]),
        ("C: hello {name }\nS: ok\n", &["`{name }` is text", "write `{name}`"]),
        ("C: hello { name}\nS: ok\n", &["`{ name}` is text", "write `{name}`"]),
        ("C: a\nS: ...\n", &["`...` is text", "`S: {_}`", "`S: {0x2e}..`"]),
        ("C: a\nS: [...]\n", &["`[...]` is text", "`S: {0x5b}...]`"]),
        ("C: a\nS: …\n", &["`…` is text", "`S: {0xe280a6}`"]),
        ("C: ...\nS: b\n", &["`C: {_}`"]),
    ]);
}

#[test]
fn a_line_without_bytes_is_told_where_nobody_can_hear_it() {
    each_is_told(&[
        ("eol none\nrepeat 3\n  C:\nend\nS: x\n", &["3:3 this line has no bytes", "`C raw: {0x0a}`"]),
        ("eol none\nC: a\nS:\n", &["3:1", "`S raw: {0x0a}`"]),
        ("eol none\ngap 50ms\nC:\nS: a\n", &["on a stream nobody hears it"]),
    ]);
    each_is_told(&[
        ("at udp://127.0.0.1:37\nC:\nS: x\n", &["2:1", "an empty datagram", "`serve` answers none", "`eol lf`"]),
        ("eol none\nat udp://127.0.0.1:37\nC:\nS: x\n", &["3:1", "an empty datagram"]),
        ("at UDP://127.0.0.1:37\nrepeat\n  C:\n  S: x\nend\n", &["3:3", "an empty datagram"]),
    ]);
    none_is_told(&[
        "C:\nS: x\n",
        "eol lf\nat udp://127.0.0.1:37\nC:\nS: x\n",
        "at udp://127.0.0.1:37\nC: a\nS:\n",
        "at udp://127.0.0.1:37\ntogether\n  C:\n  C: b\nend\nS: x\n",
        "eol none\nC: {x=a}\nS: {x}\n",
    ]);
}
