//! Flags of other tools, typed at us: each is answered with ours.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Flags;

mod tools;

/// A flag that a verb does not have, and what it has instead. Of several answers the first counts whose flags are there.
type Answer = (&'static [&'static str], &'static str);

const TALK: &[Answer] = &[
    (&["-u", "--udp"], "write udp://HOST:PORT"),
    (&["-l"], "--listen is ours"),
    (&["-z", "--zero"], "--zero only connects"),
    (&["-w", "--wait"], "--connect-timeout TIME is for connecting, and --timeout TIME for the whole"),
    (&["-i", "--idle-timeout"], "--idle TIME"),
    (&["-i", "--idle-timeout"], "--timeout TIME is for the whole conversation"),
    (&["-q"], "-q is --quiet; when standard input ends, the answer is waited for: --timeout TIME bounds it"),
    (&["-e", "-c", "--exec", "--sh-exec"], "no program is run by talk; a pipe does it: CMD | sockeye talk ADDR"),
    (&["-n", "--nodns"], "leave it out: an address in digits is never looked up"),
    (&["-N", "--shutdown"], "leave it out: when standard input ends, our end is half-closed"),
    (&["-d"], "leave it out: </dev/null is no input"),
    (
        &["-p", "--source-port", "-s", "--local-port", "--source-ip", "--bind"],
        "--source ADDR:PORT is our own end; with --listen it is ADDR",
    ),
    (&["-b"], "--broadcast"),
    (&["-M"], "--ttl N, over UDP"),
    (&["--ip-add-membership", "--multicast"], "--join GROUP"),
    (&["-U", "--unixsock"], "write unix:PATH"),
    (&["-C", "--crlf", "-t", "--telnet"], "--eol crlf ends lines with CR and LF"),
    (&["-k", "--keep-open"], "--listen --keep takes one client after another"),
    (
        &["-X", "-x", "--proxy-type", "--proxy-auth", "--proxy-dns", "--preproxy", "-proxy"],
        "--proxy URL, such as socks5h://USER:PASSWORD@HOST:PORT, socks4a://HOST or http://HOST:3128",
    ),
    (
        &["--socks5", "--socks5-hostname", "--socks4", "--socks4a", "--proxy-user", "--proxytunnel"],
        "--proxy URL, such as socks5h://USER:PASSWORD@HOST:PORT, socks4a://HOST or http://HOST:3128",
    ),
    (
        &["-c", "--ssl", "--tls"],
        "write tls://HOST:PORT; --starttls PROTOCOL begins in clear, and with --play a transcript says `starttls`",
    ),
    (&["-r", "--random", "-b", "-D", "-S", "-T", "-I", "-O", "-P", "-M", "-m"], "there is no such option here"),
    (&["-x", "--hex-dump", "--xxd", "--hexdump"], "--hex shows what passes in hex on standard error"),
    (&["-o", "--output"], "--record FILE writes what was said as a transcript; 2>FILE keeps what --hex shows"),
    (&["-6only", "--ipv6"], "-6 is IPv6 only"),
    (&["--ipv4"], "-4 is IPv4 only"),
    (&["--no-shutdown"], "there is no such option: when standard input ends, our end is half-closed"),
    (
        &[
            "-L",
            "-H",
            "-A",
            "-F",
            "-G",
            "--location",
            "--data",
            "--header",
            "--request",
            "--user",
            "-a",
            "-f",
            "-g",
            "-j",
        ],
        "it is a flag of a program that fetches pages: `sockeye fetch URL`",
    ),
    (&["-W", "--max-conns", "-m"], "leave it out: one client is talked to; `sockeye serve --times N` takes N"),
    (&["--exec-once", "--lua-exec"], "no program is run by talk; a pipe does it: CMD | sockeye talk ADDR"),
    (
        &["--ssl-verify", "--ssl-trustfile", "--cacert", "-CAfile", "-CApath", "-verify"],
        "leave it out: certificates are always checked; --ca FILE says who is trusted, and --pin sha256:HEX one alone",
    ),
    (&["-k", "--insecure", "--ssl-no-verify"], "--pin sha256:HEX trusts one certificate, whoever signed it"),
    (&["-starttls", "--ssl-starttls"], "--starttls PROTOCOL"),
    (&["--strict", "--once"], "leave it out: talk ends after one conversation, and --play checks it"),
    (&["--delay"], "with --play, a transcript says `C waits 1s`"),
    (&["--port", "--host"], "write HOST:PORT, or HOST PORT"),
    (&["-connect"], "write the address alone: tls://HOST:PORT"),
    (&["-servername"], "it stands in the address: tls://HOST:PORT?sni=NAME; the name of the host is sent without it"),
    (&["-alpn", "-nextprotoneg"], "it stands in the address: tls://HOST:PORT?alpn=NAME"),
    (
        &["-tls1", "-tls1_1", "-tls1_2", "-tls1_3", "-no_tls1_2"],
        "the oldest stands in the address: tls://HOST:PORT?min=1.3",
    ),
    (&["-crlf"], "--eol crlf ends lines with CR and LF"),
    (&["-unix"], "write unix:PATH"),
    (&["-ign_eof", "-no_ign_eof", "-nocommands"], "leave it out: when standard input ends, the answer is waited for"),
    (
        &["-verify_return_error", "-verify_quiet", "-verify_hostname", "-verify_depth", "-x509_strict"],
        "leave it out: certificates are always checked, and a wrong one is exit 60",
    ),
    (
        &["-showcerts", "-status", "-msg", "-debug", "-state", "-prexit", "-brief", "-tlsextdebug", "-noservername"],
        "there is no such option: talk shows what is said, and not the handshake",
    ),
    (&["-R"], "--ca FILE says who is trusted"),
    (&["-dtls", "-dtls1_2", "-sctp"], "there is no such option: TLS goes over tcp and Unix sockets"),
];

const SERVE: &[Answer] = &[
    (&["-e", "--lua-exec"], "--exec CMD runs a program for each client"),
    (&["--sh-exec", "--system"], "--shell LINE runs a line of sh(1) for each client"),
    (&["-l", "--listen"], "leave it out: serve listens"),
    (&["-u", "--udp"], "write udp://HOST:PORT"),
    (&["-p", "--port", "--bind", "-b", "-a", "--address"], "write the address alone: :PORT or HOST:PORT"),
    (&["-k", "--keep-open", "--keep"], "leave it out: serve takes any number of clients; --once takes one"),
    (&["-d", "--directory", "--dir", "--root", "--folder"], "--files DIR serves a folder, at http://HOST:PORT"),
    (&["-w", "--idle-timeout", "-i"], "--timeout TIME is how long to wait for a client's next line"),
    (&["-n", "--nodns", "-N"], "leave it out"),
    (&["-U", "--unixsock"], "write unix:PATH"),
    (&["-m"], "--times N ends after N conversations"),
    (&["-c", "--ssl", "--tls"], "write https://HOST:PORT with --files DIR; a transcript says `starttls`"),
    (&["--ssl-cert"], "--cert FILE"),
    (&["--ssl-key"], "--key FILE"),
    (&["-o", "--output", "--record"], "`sockeye talk --listen --record FILE` writes what one client says"),
    (
        &["-t", "--wait-time"],
        "--timeout TIME is how long to wait for a client's next line, --wait TIME for the next client",
    ),
    (&["-accept"], "write the address alone: :PORT or HOST:PORT"),
    (&["-www", "-WWW", "-HTTP"], "--files DIR serves a folder, at https://HOST:PORT"),
    (&["-naccept"], "--times N ends after N conversations"),
    (&["-cert_chain", "-CAfile", "-Verify", "-verify"], "--cert FILE has the certificate and its chain"),
    (&["--retry", "--connect-timeout"], "serve waits for clients: --wait TIME says how long for the next"),
    (&["-f", "--file", "--script", "--transcript"], "--play FILE plays a transcript"),
    (&["-v6", "--ipv6"], "-6 is IPv6 only"),
    (&["--chat", "--broker"], "there is no such role: --echo, --discard, --play FILE and --files DIR are there"),
    (
        &["-P", "-D", "--daemon", "--background"],
        "it stays in the foreground: end the command with &, or let a service manager run it",
    ),
];

const CHECK: &[Answer] = &[
    (&["--play", "-f", "--file", "--transcript"], "write the file alone: `sockeye check FILE`"),
    (
        &["--fix", "--write-back", "-w", "-i", "--in-place"],
        "--format --write lays the file out anew; mistakes are mended by hand",
    ),
    (&["--strict", "--deny-warnings", "-W"], "warnings are always told; with --json they can be counted"),
    (&["--all", "--branches"], "--all-branches plays every branch"),
    (&["-n", "--dry-run"], "leave it out: check changes nothing without --write"),
    (
        &["-o", "-O", "--output", "--out", "--output-format", "--reporter", "--report"],
        "--json writes what is found as objects, a line each; both go to standard output",
    ),
    (
        &["-D", "-d", "-e", "--define", "--var", "--vars", "--variable", "--env", "--data"],
        "--set NAME=VALUE gives a name a value",
    ),
    (
        &["-r", "-R", "--recursive", "--dir", "--directory", "--ext"],
        "write each file: `sockeye check *.talk`; what a file includes is checked with it",
    ),
    (
        &["-I", "--include", "--include-dir", "--include-path", "--path", "--base"],
        "leave it out: a file that is included is found beside the one that names it",
    ),
    (
        &["-s", "-c", "-S", "-C", "--server", "--client", "--side", "--role", "--as", "--both", "--ends"],
        "leave it out: both ends are always checked",
    ),
    (
        &[
            "-l",
            "--lint",
            "--list",
            "--check",
            "--validate",
            "--verify",
            "--syntax",
            "--syntax-only",
            "--parse",
            "--test",
        ],
        "leave it out: all that is found is told, and nothing is changed",
    ),
    tools::CHECK_ELSEWHERE,
];

const IMPORT: &[Answer] = &[
    (
        &["--play", "-f", "--file", "-i", "--input", "-r", "--read", "--pcap"],
        "write the file alone: `sockeye import FILE`",
    ),
    (&["-n", "-s"], "--session N takes one of several sessions of a page, --stream N one conversation of a capture"),
    (
        &["-Y", "--filter", "--port", "--conversation", "--follow"],
        "--stream N takes one conversation; without it they are listed",
    ),
    (&["--keys", "--keylogfile", "--key-log", "--secrets"], "--keylog FILE has the secrets of TLS sessions"),
    (&["--tls", "--ssl"], "--starttls makes a statement of a direction to negotiate TLS"),
    tools::IMPORT_ELSEWHERE,
];

const FETCH: &[Answer] = &[
    (&["-L", "--location", "--location-trusted"], "leave it out: redirects are followed; --no-follow turns it off"),
    (
        &["-O", "--remote-name", "-J", "--remote-header-name"],
        "leave it out: the file gets its name from the URL; -o FILE names another",
    ),
    (&["-k", "-insecure", "--no-check-certificate"], "--insecure trusts whoever answers; better: --pin or --ca"),
    (
        &["-d", "--post-data", "--body", "--post-file", "--body-file"],
        "--data TEXT, or --data @FILE; --data-json has the type of JSON",
    ),
    (&["--json"], "--json shows events as JSON; --data-json sends JSON"),
    (&["-i", "--include", "--show-headers"], "leave it out: the head of the answer is printed"),
    (&["-D", "--dump-header"], "leave it out: the head goes to standard output, or with -o - to standard error"),
    (&["-I"], "--head asks for the head only"),
    (&["--spider"], "--head asks for the head only"),
    (
        &["-f", "--fail", "--fail-with-body"],
        "leave it out: a status from 400 up is exit 22; --save-errors saves its body too",
    ),
    (&["-s", "--silent", "--no-progress-meter"], "-q says nothing but errors"),
    (&["-S", "--show-error"], "leave it out: errors are always shown"),
    (&["-A", "--user-agent"], "-H 'User-Agent: NAME'"),
    (&["-e", "--referer"], "-H 'Referer: URL'"),
    (&["-b"], "--cookie NAME=VALUE"),
    (&["--load-cookies", "--save-cookies"], "--cookie-jar FILE"),
    (&["-F"], "--form NAME=VALUE, or --form NAME=@FILE"),
    (&["-T", "--upload-file"], "-X PUT --data @FILE"),
    (&["-G", "--get"], "put ?NAME=VALUE into the URL"),
    (&["-m"], "--timeout TIME"),
    (&["-C", "--continue-at", "--continue"], "--resume goes on with what is there"),
    (&["-r"], "--range A-B"),
    (&["-R"], "--remote-time gives the file the time of Last-Modified"),
    (&["--timestamping", "-z", "--time-cond"], "--if-newer fetches only what was changed"),
    (&["--no-clobber"], "--skip-existing leaves a file alone that is there"),
    (&["--etag-save", "--etag-compare"], "--etag FILE"),
    (&["-N", "--no-buffer"], "leave it out: nothing is held back"),
    (&["-x", "--socks5", "--socks5-hostname", "--socks4", "--preproxy"], "--proxy URL, such as socks5h://HOST:PORT"),
    (&["--request"], "-X METHOD, or --method METHOD"),
    (&["--rate", "--speed-limit"], "--limit-rate SIZE is so many bytes a second"),
    (&["--headers"], "-H 'NAME: VALUE'"),
    (&["-E"], "--cert FILE with --key FILE"),
    (&["--cacert", "--capath", "--ca-certificate"], "--ca FILE"),
    (&["--pinnedpubkey"], "--pin sha256:HEX, of the certificate"),
    (&["--unix-socket"], "--unix PATH"),
    (&["--oauth2-bearer"], "--bearer TOKEN"),
    (&["-n"], "--netrc"),
    (&["-a", "--append"], "a file is saved whole: put it behind the other with cat"),
    (&["-w", "--write-out"], "--time says how long each part took, and --json writes events"),
    (&["-Z", "--parallel", "--parallel-max"], "leave it out: several URLs are fetched at once; --jobs N says how many"),
    (&["-t", "--tries"], "--retry N"),
    (
        &["--http2", "--http2-prior-knowledge", "--http3"],
        "leave it out: HTTP/2 is spoken where the server does; --http1.1 turns it off",
    ),
    (&["--http1.0", "-0", "--http0.9"], "--http1.1 is the oldest that is spoken"),
    (&["--compressed"], "leave it out: packed bodies are asked for and unpacked; --raw-body saves them as they come"),
    (&["--raw"], "--raw-body saves the body as it comes"),
    (&["-P", "--directory-prefix", "--create-dirs"], "--dir DIR saves there, and makes the folder"),
    (&["-g", "--globoff", "-B", "--use-ascii", "-j", "-K", "--config", "--next"], "there is no such option here"),
    (&["--url"], "write the URL alone"),
    (&["--post301", "--post302"], "there is no such option; --no-follow takes a redirect for the answer"),
    (&["--max-filesize"], "--max-size SIZE"),
    (&["--tlsv1.2", "--tlsv1.3", "-1", "--ssl-reqd", "--tls-max"], "--tls-min VERSION is the oldest that is spoken"),
    (
        &["--basic", "--anyauth", "--digest", "--ntlm", "--negotiate"],
        "--user NAME:PASSWORD is basic authentication; --bearer TOKEN sends a token",
    ),
    (&["--ipv4"], "-4 is IPv4 only"),
    (&["--ipv6"], "-6 is IPv6 only"),
    (&["--mirror", "--recursive", "--page-requisites", "-p"], "one URL is one file: list several"),
];

/// The answers for what was typed, if a flag of another tool is what is wrong.
pub(super) fn answers(error: &clap::Error, words: &[OsString]) -> Option<String> {
    let words: Vec<&str> = words.iter().skip(1).filter_map(|word| word.to_str()).collect();
    if let Some(long) = one_dash(&words) {
        return Some(long);
    }
    if let Some(other) = page_asked_for(&words).or_else(|| quiet_with_a_time(error, &words)) {
        return Some(other);
    }
    if error.kind() == ErrorKind::TooManyValues && words.first() == Some(&"check") {
        let is_format = words.iter().any(|word| word.starts_with("--format="));
        return is_format.then(|| format!("error: {}\n", format_of_findings()));
    }
    let is_about_a_word = matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidValue);
    if let Some(wrong) = is_about_a_word.then(|| wrong_value(&words)).flatten() {
        return Some(wrong);
    }
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(first)) = error.get(ContextKind::InvalidArg) else { return None };
    let verb = *words.iter().find(|word| table(word).is_some())?;
    let verb_command = Flags::command().find_subcommand(verb)?.clone();
    let mut typed: Vec<String> = vec![first.split('=').next().unwrap_or(first).to_owned()];
    for word in words.iter().take_while(|word| **word != "--") {
        typed.extend(flags_in(word));
    }
    let mut lines: Vec<String> = Vec::new();
    for flag in typed {
        let answer = answer(&verb_command, verb, &flag).map(str::to_owned);
        let line = answer.or_else(|| of_other_verbs(&verb_command, &flag)).map(|answer| format!("  {flag}: {answer}"));
        lines.extend(line.filter(|line| !lines.contains(line)));
    }
    let shown = first.split('=').next().unwrap_or(first);
    (!lines.is_empty()).then(|| said(verb, shown, &lines))
}

fn said(verb: &str, flag: &str, lines: &[String]) -> String {
    let help = format!("For all flags, try 'sockeye {verb} --help'.");
    format!("error: {verb} has no {flag}\n\n{}\n\n{help}\n", lines.join("\n"))
}

/// Whether a long flag was typed with one dash, as openssl and others have theirs. Letter by letter it would be other
/// flags, or one with a value: `-output x` would be a file `utput`.
pub(super) fn has_one_dash(words: &[OsString]) -> bool {
    // Most command lines have nothing like it, and need not be compared with all flags.
    let may_be = |word: &&str| word.len() > 2 && word.starts_with('-') && !word.starts_with("--");
    let words: Vec<&str> = words.iter().skip(1).filter_map(|word| word.to_str()).collect();
    words.iter().any(may_be) && one_dash(&words).is_some()
}

/// What is said to long flags with one dash.
fn one_dash(words: &[&str]) -> Option<String> {
    let verb = *words.iter().find(|word| !word.starts_with('-'))?;
    table(verb)?;
    let command = Flags::command().find_subcommand(verb)?.clone();
    let (mut shown, mut lines) = (None, Vec::new());
    let mut before = "";
    for word in words.iter().take_while(|word| **word != "--") {
        let flag = word.split('=').next().unwrap_or(word);
        // What stands behind a long flag may be its value.
        let is_value = before.starts_with("--") && !before.contains('=');
        before = word;
        if let Some(answer) = long_with_one_dash(&command, verb, flag).filter(|_| !is_value) {
            shown.get_or_insert(flag);
            lines.push(format!("  {flag}: {answer}"));
        }
    }
    shown.map(|flag| said(verb, flag, &lines))
}

fn long_with_one_dash(command: &clap::Command, verb: &str, flag: &str) -> Option<String> {
    let name = flag.strip_prefix('-').filter(|name| name.len() > 1 && !name.starts_with('-'))?;
    if let Some(answer) = answer(command, verb, flag) {
        return Some(answer.to_owned());
    }
    if name.len() < 3 || ["help", "version"].contains(&name) {
        return None;
    }
    let long = format!("--{name}");
    if has(command, &long) {
        return Some(format!("it has two dashes: {long}"));
    }
    let answered = answer(command, verb, &long).map(str::to_owned);
    answered.or_else(|| of_other_verbs(command, &long).map(|verbs| format!("{long}: {verbs}")))
}

/// `talk -X POST http://HOST/`: what curl is typed with, at the verb that talks to sockets.
fn page_asked_for(words: &[&str]) -> Option<String> {
    if words.first() != Some(&"talk") {
        return None;
    }
    let is_page = |word: &str| ["http://", "https://"].iter().any(|scheme| word.starts_with(scheme));
    // A proxy is named so too.
    let is_proxy = |flag: &str| matches!(flag, "--proxy" | "--preproxy" | "-x");
    let at = words.iter().position(|word| is_page(word))?;
    (at > 0 && !is_proxy(words[at - 1])).then(|| {
        let page = "`sockeye fetch URL` asks for a page, and for all flags of it there is 'sockeye fetch --help'.";
        format!("error: talk asks for no page\n\n  {page}\n")
    })
}

/// What is said to `check --format json`: the layout of a transcript was not meant.
pub(crate) fn format_of_findings() -> String {
    "--format takes no value: it prints a transcript in its canonical layout; --json writes what is found as objects"
        .to_owned()
}

/// `talk -q 1 HOST PORT`, `-q1`, `-w3`: nc's flags with their times. `-q` is ours, and takes none.
fn quiet_with_a_time(error: &clap::Error, words: &[&str]) -> Option<String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_apart = words.windows(2).any(|pair| pair[0] == "-q" && is_number(pair[1].trim_start_matches('-')));
    let is_joined = words.iter().any(|word| word.strip_prefix("-q").is_some_and(is_number));
    let is_too_much =
        matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues);
    if words.first() != Some(&"talk") || !is_too_much || !is_apart && !is_joined {
        return None;
    }
    let answer = "-q is --quiet, and takes no time; when standard input ends, the answer is waited for: --timeout TIME bounds it";
    Some(format!("error: talk has no -q with a time\n\n  -q: {answer}\n\nFor all flags, try 'sockeye talk --help'.\n"))
}

/// `--timeout -5s`: the value of a flag, though it begins as a flag does. What is wrong with it is told as of any other value.
fn wrong_value(words: &[&str]) -> Option<String> {
    let mut verb = super::command();
    let verb = verb.find_subcommand_mut(words.iter().find(|word| table(word).is_some())?)?.clone();
    let takes_one = |flag: &str| {
        let name = flag.strip_prefix("--").filter(|name| !name.contains('='));
        let found = name.and_then(|name| verb.get_arguments().find(|argument| argument.get_long() == Some(name)));
        found.is_some_and(|argument| argument.get_action().takes_values() && !argument.is_require_equals_set())
    };
    let begins_a_number = |word: &str| {
        word.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
    };
    let at = words.windows(2).position(|pair| takes_one(pair[0]) && begins_a_number(pair[1]))?;
    let joined = format!("{}={}", words[at], words[at + 1]);
    let anew =
        ["sockeye"].iter().chain(&words[..at]).copied().chain([joined.as_str()]).chain(words[at + 2..].iter().copied());
    let error = super::command().try_get_matches_from(anew).err()?;
    let is_value = matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue);
    is_value.then(|| super::number(&error).unwrap_or_else(|| error.render().to_string()))
}

fn table(verb: &str) -> Option<&'static [Answer]> {
    match verb {
        "talk" => Some(TALK),
        "serve" => Some(SERVE),
        "fetch" => Some(FETCH),
        "check" => Some(CHECK),
        "import" => Some(IMPORT),
        "load" => Some(tools::LOAD),
        "relay" => Some(tools::RELAY),
        "report" => Some(tools::REPORT),
        "ports" => Some(tools::PORTS),
        "addrs" => Some(tools::ADDRS),
        _ => None,
    }
}

/// The flags that a word holds: one long one, or a letter each.
fn flags_in(word: &str) -> Vec<String> {
    if word.starts_with("--") {
        return vec![word.split('=').next().unwrap_or(word).to_owned()];
    }
    match word.strip_prefix('-') {
        Some(letters) if !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            // `-c100`, `-d30s`: a letter and its value.
            let only_one = letters.len() > 1 && letters.as_bytes()[1].is_ascii_digit();
            letters.chars().take(if only_one { 1 } else { letters.len() }).map(|letter| format!("-{letter}")).collect()
        }
        _ => vec![],
    }
}

/// Whether a verb, or every verb, has a flag.
fn has(command: &clap::Command, flag: &str) -> bool {
    let common = ["-q", "--quiet", "-v", "--verbose", "--json", "--color", "-h", "--help"];
    common.contains(&flag)
        || command.get_arguments().any(|argument| match flag.strip_prefix("--") {
            Some(long) => {
                argument.get_long() == Some(long)
                    || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&long))
            }
            None => argument.get_short().is_some_and(|short| flag == format!("-{short}")),
        })
}

/// What a verb has in place of a flag that it has not.
fn answer(command: &clap::Command, verb: &str, flag: &str) -> Option<&'static str> {
    if has(command, flag) {
        return None;
    }
    if matches!(flag, "-V" | "--version") {
        return Some("`sockeye --version`");
    }
    let mut answers = table(verb)?.iter().filter(|(flags, _)| flags.contains(&flag)).map(|(_, answer)| *answer);
    answers.find(|answer| answer.contains('`') || flags_named(answer).all(|flag| has(command, flag)))
}

/// Which other verbs have a flag that this one has not. Letters mean something else in each.
fn of_other_verbs(command: &clap::Command, flag: &str) -> Option<String> {
    if !flag.starts_with("--") || has(command, flag) {
        return None;
    }
    let all = Flags::command();
    let verbs: Vec<String> = all
        .get_subcommands()
        .filter(|verb| table(verb.get_name()).is_some() && has(verb, flag))
        .map(|verb| format!("`sockeye {}`", verb.get_name()))
        .collect();
    match verbs.split_last()? {
        (one, []) => Some(format!("{one} has it")),
        (last, others) => Some(format!("{} and {last} have it", others.join(", "))),
    }
}

/// The flags that an answer names.
fn flags_named(answer: &str) -> impl Iterator<Item = &str> {
    answer.split([' ', ',', ';', ':']).filter(|word| {
        word.len() > 1
            && word.starts_with('-')
            && word[1..].starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_names_only_flags_that_are_there() {
        for verb in ["talk", "serve", "fetch", "check", "import", "load", "relay", "report", "ports", "addrs"] {
            let command = Flags::command().find_subcommand(verb).unwrap().clone();
            for (flags, _) in table(verb).unwrap() {
                // One that the verb has by now needs no answer.
                for flag in flags.iter().filter(|flag| !has(&command, flag)) {
                    assert!(answer(&command, verb, flag).is_some(), "{verb} {flag}");
                }
            }
        }
    }

    #[test]
    fn a_flag_of_another_verb_is_told_by_that_verb() {
        for (typed, says) in [
            (
                &["relay", "--set", "a=b"][..],
                "  --set: `sockeye serve`, `sockeye talk`, `sockeye load` and `sockeye check` have it",
            ),
            (&["relay", "--secret=a=b"], "have it"),
            (&["talk", "--connections", "4"], "  --connections: `sockeye load` has it"),
            (&["serve", "--rate", "5"], "  --rate: `sockeye relay` and `sockeye load` have it"),
            (&["check", "--record", "f"], "  --record: `sockeye talk` and `sockeye relay` have it"),
            (&["import", "--update"], "  --update: `sockeye talk` has it"),
            (&["load", "--hexdump"], "  --hexdump: `sockeye relay` has it"),
            (&["fetch", "--set=a=b"], "have it"),
        ] {
            let words: Vec<OsString> = ["sockeye"].iter().chain(typed).map(OsString::from).collect();
            let error = super::super::command().try_get_matches_from(&words).unwrap_err();
            let answer = answers(&error, &words).unwrap_or_default();
            assert!(answer.contains(says) && !answer.contains("tip:"), "{typed:?}: {answer}");
        }
        // What no other tool has is clap's to tell.
        let words = ["sockeye", "relay", "--nonsense"].map(OsString::from);
        assert_eq!(answers(&super::super::command().try_get_matches_from(&words).unwrap_err(), &words), None);
    }

    #[test]
    fn a_word_may_hold_several_flags() {
        assert_eq!(flags_in("-fsSL"), ["-f", "-s", "-S", "-L"]);
        assert_eq!(flags_in("--data=x"), ["--data"]);
        assert_eq!(flags_in("-d30s"), ["-d"]);
        assert_eq!(flags_in("-"), Vec::<String>::new());
        assert_eq!(flags_in("http://x/-a"), Vec::<String>::new());
    }
}
