use super::*;
use crate::script::{PlayOptions, Script};
use crate::{Carrier, Side, Transcript};

/// The known exchanges of a text from the place that awaits the line of this number, if it has any.
fn exchanges(text: &str, line: usize, side: Side) -> Vec<KnownExchange> {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &["g", "h"]).unwrap();
    let mut options = PlayOptions::new(side, Carrier::Stream);
    options.columns = vec!["g".to_owned(), "h".to_owned()];
    let program = Script::prepare(&transcript, &options).unwrap().program;
    let at_choices = program.choices.iter().map(|choice| &choice.fast_path);
    let paths = at_choices.chain(program.messages.iter().map(|message| &message.fast_path));
    let begins = |path: &&FastPath| path.exchanges.iter().any(|one| program.messages[one.message].place.line == line);
    paths.filter(begins).flat_map(|path| path.exchanges.to_vec()).collect()
}

#[test]
fn an_exchange_is_known_if_its_line_and_what_was_known_before_decide_its_answer() {
    use Side::{Client, Server};
    for (text, line, side, known) in [
        ("repeat\n  C: x\n  S: y\nend\n", 2, Server, &[true][..]),
        ("repeat\n  C: {q}\n  S: <{q}>\nend\n", 2, Server, &[true]),
        ("repeat\n  C: {q}\nend\n", 2, Server, &[true]),
        ("repeat\n  either\n    C: x\n    S: y\n  or\n    C: z\n    S resets\n  end\nend\n", 3, Server, &[true, false]),
        ("repeat\n  C: x\n  S waits 1s\n  S: y\nend\n", 2, Server, &[]),
        ("C: x\nS: y\n", 1, Server, &[]),
        // A value of one name that was known, and any number of those that are given.
        ("C: {a}\nrepeat\n  C: x\n  S: {a}\nend\n", 3, Server, &[true]),
        ("C: {a}\nrepeat\n  C: {q}\n  S: {a}{q}\nend\n", 3, Server, &[true]),
        ("C: {a}\nrepeat\n  C: x\n  S: {a}\n  S: {a}\nend\n", 3, Server, &[true]),
        ("C: {a}\nrepeat\n  C: x\n  S: {a}{a}\nend\n", 3, Server, &[]),
        ("C: {a}\nC: {b}\nrepeat\n  C: x\n  S: {a}{b}\nend\n", 4, Server, &[]),
        ("C: {a}\nrepeat\n  C: x\n  S: {g}{a}{h}{g}\nend\n", 3, Server, &[true]),
        ("repeat\n  C: {q}\n  S: {n=1}{n}{q}{n}\nend\n", 2, Server, &[true]),
        // Of a loop of ours the rounds are counted; of two around each other they are not.
        ("repeat 3\n  C: x\n  S: y\nend\n", 3, Client, &[true]),
        ("repeat\n  C: x\n  S: y\nend\n", 3, Client, &[true]),
        ("repeat\n  C: {n=a|b}\n  S: <{n}>\nend\nC: z\n", 3, Client, &[true]),
        ("repeat\n  C: {n=a|b}{m=c|d}\n  S: <{n}>\nend\nC: z\n", 3, Client, &[]),
        ("repeat 2\n  S: y\n  repeat 2\n    C: x\n  end\nend\n", 2, Client, &[]),
        ("repeat\n  either\n    C: a\n  or\n    C: b\n  end\n  S: y\nend\n", 7, Client, &[]),
        // What is long gains nothing.
        (&format!("repeat\n  C: x\n  S: {}\nend\n", "y".repeat(LARGEST)), 2, Server, &[true]),
        (&format!("repeat\n  C: x\n  S: {}\nend\n", "y".repeat(LARGEST + 1)), 2, Server, &[]),
        (&format!("repeat\n  C: x\n{}end\n", "  S: y\n".repeat(LONGEST - 2)), 2, Server, &[true]),
        (&format!("repeat\n  C: x\n{}end\n", "  S: y\n".repeat(LONGEST)), 2, Server, &[]),
    ] {
        let found = exchanges(text, line, side);
        let found: Vec<bool> = found.iter().map(|exchange| exchange.answer.is_some()).collect();
        assert_eq!(found, known, "{}", &text[..text.len().min(100)]);
    }
}

#[test]
fn the_line_of_an_exchange_is_told_in_the_quickest_way_there_is() {
    let turned = |line: &str| format!("repeat\n  C: {{n=a|b}}\n  {line}\nend\nC: z\n");
    for (text, line, side, way) in [
        ("repeat\n  C: {q}\n  S: y\nend\n", 2, Side::Server, "all"),
        ("repeat\n  C: {_}\n  S: y\nend\n", 2, Side::Server, "all"),
        ("repeat\n  C: x\n  S: y\nend\n", 2, Side::Server, "only x"),
        ("repeat 2\n  C: {n=Ann}\n  S: Hi, {n}!\nend\n", 3, Side::Client, "only Hi, Ann!"),
        ("repeat\n  C: x{q}\n  S: y\nend\n", 2, Side::Server, "other"),
        ("repeat\n  C: {q}x\n  S: y\nend\n", 2, Side::Server, "other"),
        ("repeat\n  C: {q:int}\n  S: y\nend\n", 2, Side::Server, "other"),
        ("ignore case\nrepeat\n  C: x\n  S: y\nend\n", 2 + 1, Side::Server, "other"),
        ("C: {a}\nrepeat\n  C: {a}\n  S: y\nend\n", 3, Side::Server, "other"),
        (&turned("S: {n}"), 3, Side::Client, "turned, between `` and ``"),
        (&turned("S: <{n}"), 3, Side::Client, "turned, between `<` and ``"),
        (&turned("S: <{n}>"), 3, Side::Client, "turned, between `<` and `>`"),
        (&turned("S: x"), 3, Side::Client, "only x"),
        (&turned("S: {n}{g}"), 3, Side::Client, "none"),
        (&turned("S: {n}{n}"), 3, Side::Client, "none"),
        (&format!("ignore case\n{}", turned("S: <{n}>")), 4, Side::Client, "none"),
    ] {
        let way_of = |exchange: &KnownExchange| match (&exchange.quick_match, exchange.between.as_deref()) {
            (QuickMatch::All, None) => "all".to_owned(),
            (QuickMatch::Only(text), None) => format!("only {}", String::from_utf8_lossy(text)),
            (QuickMatch::Other, None) => "other".to_owned(),
            (QuickMatch::Turned, Some((before, after))) => {
                let [before, after] = [before, after].map(|text| String::from_utf8_lossy(text));
                format!("turned, between `{before}` and `{after}`")
            }
            (kind, between) => format!("{kind:?} {between:?}"),
        };
        let found = exchanges(text, line, side);
        assert_eq!(found.first().map_or("none".to_owned(), way_of), way, "{text}");
    }
}
