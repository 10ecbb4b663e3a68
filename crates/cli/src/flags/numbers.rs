//! Numbers in help and docs: each is held against the constant that it tells. A number that is in no row here, and is no part of
//! a name such as HTTP/1.1 or an address, fails the test: it would not change with the code.

use std::path::Path;
use std::time::Duration;

use regex::Regex;
use sockeye::limits::{self, bytes, count};
use sockeye::verb::serve::DEFAULT_PORT;
use transcript::{limits as format, seconds};

use crate::exit::Exit;

/// What is told, where: of help the verb and the flag, or the flag alone; of docs the page.
type Row = (&'static str, String);

/// A time and a size as flags have them: `5s`, `64KiB`.
fn short(text: &str) -> String {
    text.replace(" min", "m").replace(' ', "")
}

/// A time in seconds, also where it is a whole minute: `60 s`.
fn plain(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// A time that is written in words.
fn in_words(time: Duration) -> &'static str {
    match time.as_millis() {
        1 => "a millisecond",
        500 => "half a second",
        1000 => "a second",
        other => panic!("{other} ms has no word here: change the text, and this"),
    }
}

fn number(value: impl TryInto<u64>) -> String {
    count(value.try_into().unwrap_or(u64::MAX))
}

/// What help tells.
fn help_rows() -> Vec<Row> {
    let wait = |time: Duration| short(&seconds(time));
    let default = |text: String| format!("[default: {text}]");
    let mut rows = vec![
        ("serve", format!("port {DEFAULT_PORT} of ")),
        ("serve --max-children", format!("[default: {},", limits::PROGRAMS)),
        ("serve --timeout", format!("or {};", wait(limits::SERVE_WAIT))),
        ("serve --timeout", format!("with --files {} for a request", wait(limits::REQUEST_WAIT))),
        ("serve --timeout", format!("{} for the next]", plain(limits::KEEP_ALIVE).replace(' ', ""))),
        ("serve --max-memory", format!("[default: {} of", if limits::MEMORY_SHARE == 4 { "a quarter" } else { "?" })),
        ("serve --max-upload", default(short(&bytes(limits::UPLOAD)))),
        ("talk", format!("is given {} once", seconds(limits::INPUT_WAIT))),
        ("talk", format!("after {} of quiet behind an answer", in_words(limits::DATAGRAM_QUIET))),
        ("talk", format!("after {} without one", seconds(limits::DATAGRAM_ANSWER))),
        ("talk", format!("and {} of quiet after an answer", in_words(limits::DATAGRAM_QUIET))),
        ("relay --resolve-every", format!("[default: {};", wait(limits::LOOK_UP_AGAIN))),
        ("relay --idle-timeout", format!("of a client's datagrams {}]", plain(limits::FLOW_IDLE).replace(' ', ""))),
        ("fetch --jobs", default(limits::DOWNLOADS.to_string())),
        ("fetch --max-redirects", default(limits::REDIRECTS.to_string())),
        ("fetch --idle-timeout", default(plain(limits::STALL_WAIT).replace(' ', ""))),
        ("load --connections", default(limits::LOAD_CONNECTIONS.to_string())),
        ("load --duration", format!("; {}, unless", seconds(limits::LOAD_TIME))),
    ];
    for verb in ["serve --threads", "relay --threads"] {
        rows.push((verb, format!("1 to {};", limits::THREADS)));
        rows.push((verb, format!("at most {}]", limits::DEFAULT_THREADS)));
    }
    for verb in ["serve --grace", "relay --grace"] {
        rows.push((verb, default(wait(limits::GRACE))));
    }
    for verb in
        ["talk --connect-timeout", "relay --connect-timeout", "fetch --connect-timeout", "load --connect-timeout"]
    {
        rows.push((verb, default(wait(limits::CONNECT_WAIT))));
    }
    for verb in ["serve --max-line", "talk --max-line", "load --max-line"] {
        rows.push((verb, default(short(&bytes(limits::LINE)))));
    }
    rows
}

/// What is no bound of ours in help: choices of a flag that no library has, numbers of other programs and systems, examples.
const NO_BOUND_IN_HELP: &[(&str, &str)] = &[
    ("--jobs", "[default: 32]"),
    ("--parts", "[default: 1]"),
    ("--repeat", "[default: 1]"),
    ("--pipeline", "[default: 1]"),
    ("--retry", "[default: 0]"),
    ("--ramp", "[default: 0]"),
    ("--think", "[default: 0]"),
    ("--session", "[default: 1]"),
    // The system's own.
    ("--ttl", "with 1 it stays in this network [default: 64, to groups 1]"),
    ("load --source", "28,000 ports"),
    // curl's.
    ("talk --proxy", "the port is 1080"),
    ("fetch --retry", "408, 429, 500, 502, 503, 504"),
    ("fetch --tls-min", "1.2 or 1.3 [default: 1.2]"),
    ("load --status", "from 200 to 399"),
    ("fetch --save-errors", "(4xx, 5xx)"),
    ("serve --not-found", "with 404"),
    ("relay --control", "8474"),
    ("relay", "min=1.3"),
    ("relay --resolve-every", "0: only when"),
    ("--delay", "20ms, 20ms±5ms or 20ms+-5ms"),
    ("--slice", "1, 3..9, and ,5ms between"),
    ("relay", "keepalive=30s"),
    ("relay", "db.example:6380"),
    ("relay", ":80?bind"),
    ("relay", "u16 of either"),
    ("report", "--fail-if-slower 5%"),
];

/// What docs tell.
fn docs_rows() -> Vec<Row> {
    let grace = seconds(limits::GRACE);
    let (quiet, answer) = (seconds(limits::DATAGRAM_QUIET), seconds(limits::DATAGRAM_ANSWER));
    let term = in_words(limits::TERM_WAIT);
    let packed = limits::PACKED;
    let mut rows = vec![
        (
            "ends.md",
            format!("it has {grace} (`--grace`) to end; then its process group gets SIGTERM, and {term} later SIGKILL"),
        ),
        ("ends.md", format!("at most {} at once, or fewer if", number(limits::PROGRAMS))),
        ("ends.md", format!("messages of up to {}", bytes(limits::LINE))),
        (
            "ends.md",
            format!(
                "at most {}, {} answers or {}",
                plain(limits::WRITE_WAIT),
                number(limits::UNREAD_MESSAGES),
                bytes(limits::SEND_QUEUE)
            ),
        ),
        ("ends.md", format!("larger than {}", bytes(limits::SOCKET_MESSAGE))),
        ("ends.md", format!("({} bytes over UDP)", number(format::DATAGRAM))),
        ("ends.md", format!("at once, {} bytes at most", number(format::DATAGRAM))),
        ("ends.md", format!("quiet for {quiet}, for the first one {answer}")),
        ("ends.md", format!("`--idle-timeout` ({} without it)", plain(limits::FLOW_IDLE))),
        ("ends.md", format!("messages above {}", bytes(limits::WEBSOCKET_MESSAGE))),
        ("ends.md", format!("whole within {}", seconds(limits::HANDSHAKE_WAIT))),
        ("ends.md", format!("At most {} clients are waited for", number(limits::WAITING_CLIENTS))),
        ("exec.md", format!("({}, or fewer where", number(limits::PROGRAMS))),
        ("exec.md", format!("waits for up to {}", seconds(limits::START_WAIT))),
        ("exec.md", format!("gets SIGTERM, and {term} later SIGKILL")),
        ("exec.md", format!("silent for {} (`--timeout TIME`)", plain(limits::FLOW_IDLE))),
        ("exec.md", format!("up to {}\n  datagrams", number(limits::WAITING_FOR_PROGRAM))),
        ("fetch.md", format!("for at most {};", in_words(limits::CONTINUE_WAIT))),
        ("fetch.md", format!("longer than {} is shown as it came", bytes(limits::SHOWN_JSON))),
        ("fetch.md", format!("Retry-After up to {})", seconds(limits::RETRY_AFTER))),
        ("files.md", format!("({} names a page;", number(limits::LISTED))),
        ("files.md", format!("Text of {} to\n{} goes", bytes(*packed.start()), bytes(*packed.end()))),
        ("files.md", format!("bounds a file ({})", bytes(limits::UPLOAD))),
        (
            "relay.md",
            format!(
                "for {} at first and {} seconds at most",
                in_words(limits::SERVER_REST),
                limits::LONGEST_SERVER_REST.as_secs()
            ),
        ),
        (
            "relay.md",
            format!(
                "silent for {}, or for {} where",
                in_words(limits::WEBSOCKET_QUIET),
                limits::WEBSOCKET_ANSWER.as_secs()
            ),
        ),
        ("relay.md", format!("after {} seconds.", limits::HANDSHAKE_WAIT.as_secs())),
        ("relay.md", format!("then every {} (`--resolve-every", seconds(limits::LOOK_UP_AGAIN))),
        ("relay.md", format!("in the last {}.", seconds(limits::FLOW_ANSWERS))),
        (
            "relay.md",
            format!(
                "{} for a direction at most, of messages {}",
                bytes(limits::LATE_BYTES),
                bytes(limits::LATE_MESSAGES)
            ),
        ),
        ("load.md", format!("as fast as {} connections can", limits::LOAD_CONNECTIONS)),
        ("load.md", format!("Behind the first {} lines", number(limits::LOAD_LINES))),
        ("load.md", format!("late by more than {}", in_words(limits::LOAD_LATE))),
        ("import.md", format!("standard input (`-`) at most {}", bytes(limits::IMPORTED))),
        ("import.md", format!("A transcript has at most {}", bytes(limits::TRANSCRIPT))),
        ("import.md", format!("An archive has at most {}", bytes(limits::HTTP_ARCHIVE))),
        ("from-nc.md", format!("silent for `--timeout` ({})", plain(limits::FLOW_IDLE))),
        ("testing.md", format!("{} are shown at most", bytes(format::TOLD))),
    ];
    rows.extend(rows_of_the_reference());
    rows
}

/// What the reference of the language tells.
fn rows_of_the_reference() -> Vec<Row> {
    let page = "transcript.md";
    let included = format!(
        "| {}, {} inside each other, {} together |",
        number(format::INCLUDED),
        format::INCLUDED_DEPTH,
        bytes(format::INCLUDED_BYTES)
    );
    let waiting = (limits::WAITING_DATAGRAMS, bytes(limits::WAITING_BYTES), bytes(limits::WAITING_IN_ALL));
    [
        format!("| a line | {} |", bytes(limits::LINE)),
        format!("| a value, and what `bytes` takes | {} |", bytes(format::COUNTED_BYTES)),
        format!("| a value, and what `bytes` takes | {} |", bytes(limits::VALUES)),
        format!("| a random value | {} characters |", number(format::RANDOM)),
        format!("| a transcript | {}; {} statements,", bytes(format::TRANSCRIPT), number(format::STATEMENTS)),
        format!("| blocks inside each other | {} |", format::BLOCKS),
        included,
        format!("| lines that may come first at one choice | {} |", number(format::BRANCHES)),
        format!("| a regular expression | {}; {} when", bytes(format::EXPRESSION), bytes(format::COMPILED_EXPRESSION)),
        format!("| {} together; equal ones", bytes(format::COMPILED_EXPRESSIONS)),
        format!("| {} in `talk --play`, {} in `serve` |", seconds(format::CLIENT_WAIT), seconds(format::SERVER_WAIT)),
        format!("| peers over datagrams with an open play | {} |", number(limits::DATAGRAM_PEERS)),
        format!("| connections of one play at once | {} |", format::CONNECTIONS),
        format!("| {}, and {}; {} for all plays of a socket", waiting.0, waiting.1, waiting.2),
        format!("in one thread | {};", number(limits::STANDING_PLAYS)),
        format!("| clients that came before their play waits for them | {} |", limits::EARLY_CLIENTS),
        format!("must gain {} or be done", bytes(format::GAIN)),
        format!("as the value of `n` says; at most {}", bytes(format::COUNTED_BYTES)),
        format!("at most {} bytes |", format::VARINT),
        format!("`C3` to `C{}` are", format::CONNECTIONS),
        format!("A value has at most {}.", bytes(limits::VALUES)),
        format!(
            "It plays {} steps, or {} from",
            number(transcript::rehearse::MOST_STEPS as u64),
            bytes(transcript::rehearse::MOST_BYTES)
        ),
    ]
    .map(|text| (page, text))
    .to_vec()
}

/// What is no bound of ours in docs.
const NO_BOUND_IN_DOCS: &[(&str, &str)] = &[
    // What a number in a transcript is: other code than a bound.
    ("transcript.md", "no sign and 64 bits at most, up to 18446744073709551615"),
    ("transcript.md", "| a number | 64 bits |"),
    ("transcript.md", "in 1, 2, 3, 4 or 8 bytes"),
    ("transcript.md", "varint` | 7 bits a byte"),
    ("transcript.md", "exactly 8 bytes"),
    ("transcript.md", "all bytes added up (8 bits)"),
    // The largest datagram that another program may read.
    ("exec.md", "64 KiB at once finds the bounds"),
    // What the kernel's terminals take (termios(3)).
    ("ends.md", "lines of at most 4,095 bytes"),
    ("exec.md", "lines of at most 4,095 bytes"),
    // What rustls takes.
    ("fetch.md", "below 2048 bits"),
    // Examples, what was measured, and the system's own.
    ("many-machines.md", "over four machines is 1,000 on each"),
    ("load.md", "has a p99 of about 0.9 s"),
    ("load.md", "began 0.2 s apart lose 0.2 s"),
    ("load.md", "15,000 of them take 30 MiB"),
    ("load.md", "about 28,000 of them"),
];

/// Every text of help, by its verb and flag.
fn helps() -> Vec<(String, String)> {
    let mut command = super::command();
    command.build();
    let mut texts = vec![];
    // nc's numbers are nc's.
    let verbs = command.get_subcommands().filter(|verb| !matches!(verb.get_name(), "nc" | "help"));
    for verb in verbs {
        let after = verb.get_after_long_help().or(verb.get_after_help());
        texts.push((verb.get_name().to_owned(), after.map(ToString::to_string).unwrap_or_default()));
        for flag in verb.get_arguments() {
            let place = match flag.get_long() {
                Some(long) => format!("{} --{long}", verb.get_name()),
                None => format!("{} {}", verb.get_name(), flag.get_id()),
            };
            let help = flag.get_long_help().or(flag.get_help()).map(ToString::to_string).unwrap_or_default();
            let takes_value = flag.get_action().takes_values() && !flag.is_hide_default_value_set();
            let defaults = flag.get_default_values().iter().filter(|_| takes_value);
            let defaults: String = defaults.map(|value| format!(" [default: {}]", value.display())).collect();
            texts.push((place, help + &defaults));
        }
    }
    texts
}

fn is_at(place: &str, key: &str) -> bool {
    place == key || place.split_once(' ').is_some_and(|(_, flag)| flag == key)
}

/// Takes what the rows tell out of the texts. What a row tells must stand somewhere.
fn take_out(texts: &mut [(String, String)], rows: &[(&str, &str)]) {
    let mut wrong = vec![];
    let whole = texts.to_vec();
    for (key, told) in rows {
        let is_told = whole.iter().any(|(place, text)| is_at(place, key) && text.contains(told));
        if !is_told {
            wrong.push(format!("{key}: {told}"));
        }
        for (place, text) in &mut *texts {
            if is_at(place, key) {
                *text = text.replace(told, " ");
            }
        }
    }
    assert!(wrong.is_empty(), "not told, or with another number:\n{}", wrong.join("\n"));
}

fn borrowed(rows: &[Row]) -> Vec<(&str, &str)> {
    rows.iter().map(|(key, text)| (*key, text.as_str())).collect()
}

#[test]
fn every_number_of_help_is_that_of_its_constant() {
    let mut texts = helps();
    assert!(texts.len() > 150, "help has {} texts", texts.len());
    take_out(&mut texts, &borrowed(&help_rows()));
    take_out(&mut texts, NO_BOUND_IN_HELP);
    let name = [
        r"RFC \d+",
        r"HTTP/\d(\.\d)?",
        r"IPv[46]",
        r"SHA-\d+|sha256:",
        r"socks[45]a?h?",
        r"\b[a-z_]+\(\d\)",
        r"PKCS #12",
        r"\d+(\.\d+){3}(/\d+)?",
        r"::1",
        r"\d{4}-\d\d-\d\dT[\d:]+Z",
        r"seconds since 1970",
        r"Linux \d\.\d+",
        // Examples, which stand behind a colon or a word that says so, and names.
        r"such as [^ ,;]+( [^ ,;]+)?",
        r": \S+(, \S+)*$",
        r"\d/\d is the second",
        r"(HOST|PORT)[12]",
        r"HOST:?\s?20-30,80",
        r"random 16 hex",
        r"the first one being 0|\b0 is (none|no limit)",
        r"from 1\.",
        r"--wait[= ]5s",
        r"%n",
    ];
    let name = Regex::new(&name.join("|")).unwrap();
    let exit = Regex::new(r"([Ee]xits? (with |code )?|with |stays |: |; |are exit )(\d+)\b").unwrap();
    let mut left = vec![];
    for (place, text) in &texts {
        let text = name.replace_all(text, " ");
        for found in exit.captures_iter(&text) {
            let code: u8 = found[3].parse().unwrap();
            assert!(Exit::ALL.iter().any(|exit| exit.code() == code), "{place}: there is no exit code {code}: {text}");
        }
        if exit.replace_all(&text, " ").contains(|c: char| c.is_ascii_digit()) {
            left.push(format!("{place}: {text}"));
        }
    }
    assert!(left.is_empty(), "numbers that no constant holds:\n{}", left.join("\n"));
}

/// The prose of each page: without code that stands by itself.
fn pages() -> Vec<(String, String)> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    // What others do, what was measured, and what nc does.
    let without = ["compared.md", "costs.md", "nc.md"];
    let code = Regex::new(r"(?ms)^```.*?^```").unwrap();
    let pages = std::fs::read_dir(docs).unwrap().map(|entry| entry.unwrap());
    let pages =
        pages.map(|page| (page.file_name().into_string().unwrap(), std::fs::read_to_string(page.path()).unwrap()));
    let pages = pages.filter(|(name, _)| !without.contains(&name.as_str()));
    pages.map(|(name, text)| (name, code.replace_all(&text, "").into_owned())).collect()
}

#[test]
fn every_quantity_of_docs_is_that_of_its_constant() {
    let mut texts = pages();
    assert!(texts.len() >= 10, "there are {} pages", texts.len());
    take_out(&mut texts, &borrowed(&docs_rows()));
    take_out(&mut texts, NO_BOUND_IN_DOCS);
    let code = Regex::new(r"`[^`\n]*`").unwrap();
    let units = "ms|s|min|KiB|MiB|GiB|kB|MB|bytes?|bits?|seconds?|minutes?|milliseconds?|characters|digits|names|clients|\
        datagrams|threads|connections|answers|statements|messages|files|fields|lines|programs|redirects";
    let quantity =
        Regex::new(&format!(r"[^\n]{{0,40}}\b(\d[\d,.]*\s({units})|\d{{1,3}}(,\d{{3}})+)\b[^\n]{{0,20}}")).unwrap();
    let mut left = vec![];
    for (page, text) in &texts {
        let text = code.replace_all(text, "`…`");
        left.extend(quantity.find_iter(&text).map(|found| format!("{page}: {}", found.as_str())));
    }
    assert!(left.is_empty(), "numbers that no constant holds:\n{}", left.join("\n"));
}

#[test]
fn the_readme_has_every_exit_code() {
    let readme = include_str!("../../../../README.md");
    let table = readme.split("| code | |\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let codes = table.lines().filter_map(|row| row.split('|').nth(1)).flat_map(|codes| codes.split(','));
    let mut codes: Vec<u8> = codes.filter_map(|code| code.trim().parse().ok()).collect();
    codes.sort_unstable();
    assert_eq!(codes, Exit::ALL.map(Exit::code));
}
