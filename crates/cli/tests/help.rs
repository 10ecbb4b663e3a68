//! The shape of help: `-h` fits on a screen, what is used most stands first, what every verb has stands last, and `--help` has
//! all of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::*;

fn help(arguments: &[&str]) -> String {
    let output = run(arguments, b"");
    assert_code(&output, 0);
    text(&output.stdout)
}

/// Each heading, and the flags under it in their order.
fn shape(help: &str) -> Vec<(String, Vec<String>)> {
    let mut shape: Vec<(String, Vec<String>)> = Vec::new();
    for line in help.lines() {
        let flag = line.trim_start();
        if line.ends_with(':') && !line.starts_with(' ') {
            shape.push((line.to_owned(), vec![]));
        } else if flag.starts_with('-') && line.len() - flag.len() <= 6 {
            // The long name, if it has one.
            let names = flag.split("  ").next().unwrap().split(", ").last().unwrap();
            let name = names.split([' ', '.', '[']).next().unwrap();
            shape.last_mut().unwrap().1.push(name.to_owned());
        }
    }
    shape
}

#[test]
fn short_help_shows_what_is_used_most_first_and_what_all_have_last() {
    for (verb, golden) in [
        (
            "serve",
            "Arguments:\nOptions: --play --files --echo --discard --once --times --strict --set --timeout --port-file --cert --key \
             --help\nCommon options: -4 -6 --color --json --quiet --verbose",
        ),
        (
            "talk",
            "Arguments:\nOptions: --play --listen --keep --zero --retry --recv-only --send-only --timeout --data --report --record --update --set --eol --help\n\
             Common options: -4 -6 --color --json --quiet --verbose",
        ),
        (
            "fetch",
            "Arguments:\nOptions: --output --data --data-json --form --header --method --user --head --resume --retry --timeout \
             --no-follow --sha256 --ca --help\nCommon options: -4 -6 --color --json --quiet --verbose",
        ),
        (
            "import",
            "Arguments:\nOptions: --output --stream --keylog --exact --har --session --starttls --help\nCommon options: --color --json --quiet --verbose",
        ),
    ] {
        let help = help(&[verb, "-h"]);
        let lines: Vec<String> = shape(&help)
            .into_iter()
            .map(|(heading, flags)| format!("{heading} {}", flags.join(" ")).trim_end().to_owned())
            .collect();
        assert_eq!(lines.join("\n"), golden, "{help}");
    }
}

#[test]
fn short_help_fits_on_a_screen_and_long_help_has_everything() {
    for verb in ["serve", "talk", "fetch", "check", "import", "ports", "addrs", "completions", "man"] {
        let (short, long) = (help(&[verb, "-h"]), help(&[verb, "--help"]));
        assert!(short.lines().count() <= 50, "{short}");
        let flags = |help: &str| shape(help).into_iter().flat_map(|(_, flags)| flags).collect::<Vec<_>>();
        for flag in flags(&short) {
            assert!(flags(&long).contains(&flag), "{verb} {flag}");
        }
        let last = shape(&short).pop().unwrap().0;
        assert_eq!(last, "Common options:", "{short}");
        let hides = flags(&long).len() > flags(&short).len();
        assert!(!hides || short.contains(&format!("There is more: sockeye {verb} --help")), "{short}");
    }
    let (short, long) = (help(&["-h"]), help(&["--help"]));
    assert!(short.starts_with("Examples:\n") && short.lines().count() <= 50, "{short}");
    assert!(!short.contains("Exit codes:") && long.contains("Exit codes:") && long.contains("Bounds:"), "{long}");
}
