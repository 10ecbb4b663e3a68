//! The verbs that read and write texts: `check`, `import`, `man`, `completions`.

use super::super::stage::{Input, Stage};
use super::super::verdict::Outcome;
use super::{Scenario, scenario, torn, unwritten, writing};

pub(super) const ALL: &[Scenario] = &[
    scenario("check", "check", check),
    writing("check", "check-format", format),
    scenario("check", "check-print", print),
    writing("import", "import-file", import),
    scenario("import", "import-stdout", import_stdout),
    writing("man", "man-folder", man),
    scenario("man", "man-stdout", man_stdout),
    scenario("completions", "completions", completions),
];

const TALK: &str = "S: Welcome!\nrepeat\n  C: {name=Ann|Bob}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";

const SESSION: &str = "   C: HELO client.example\n   S: 250 mail.example\n   C: QUIT\n   S: 221 bye\n";

fn check(stage: &Stage) -> Outcome {
    stage.put("a.talk", TALK);
    let ended = stage.start(&["check", "a.talk"], Input::Null).finish();
    let heard = [&*String::from_utf8_lossy(&ended.stdout), &ended.stderr].concat();
    // Over memory and over a socket.
    let missing = (!heard.contains("agree")).then(|| format!("no word of agreement: {heard}"));
    Outcome::new(ended, missing)
}

const RAGGED: &str = "S: Welcome!\nrepeat\nC: {name=Ann|Bob}\nS: Hello, {name}!\nend\nC: exit\nS closes\n";

fn format(stage: &Stage) -> Outcome {
    stage.put("a.talk", RAGGED);
    let ended = stage.start(&["check", "--format", "--write", "a.talk"], Input::Null).finish();
    let is_whole = |found: &[u8]| found == TALK.as_bytes();
    let missing = unwritten(stage, "a.talk", is_whole);
    Outcome { harm: torn(stage, "a.talk", Some(RAGGED.as_bytes()), is_whole), ..Outcome::new(ended, missing) }
}

fn print(stage: &Stage) -> Outcome {
    stage.put("a.talk", RAGGED);
    let ended = stage.start(&["check", "--format", "a.talk"], Input::Null).finish();
    let missing = (ended.stdout != TALK.as_bytes()).then(|| format!("{} bytes of {}", ended.stdout.len(), TALK.len()));
    Outcome::new(ended, missing)
}

fn holds_session(found: &[u8]) -> bool {
    let text = String::from_utf8_lossy(found);
    ["C: HELO client.example\n", "S: 250 mail.example\n", "C: QUIT\n", "S: 221 bye\n"]
        .iter()
        .all(|line| text.contains(line))
}

fn import(stage: &Stage) -> Outcome {
    stage.put("session.txt", SESSION);
    stage.put("out.talk", "old");
    let ended = stage.start(&["import", "session.txt", "-o", "out.talk"], Input::Null).finish();
    let missing = unwritten(stage, "out.talk", holds_session);
    Outcome { harm: torn(stage, "out.talk", Some(b"old"), holds_session), ..Outcome::new(ended, missing) }
}

fn import_stdout(stage: &Stage) -> Outcome {
    let ended = stage.start(&["import", "-"], Input::Pipe(SESSION.as_bytes())).finish();
    let missing = (!holds_session(&ended.stdout)).then(|| "the session is not whole".to_owned());
    Outcome::new(ended, missing)
}

const PAGES: [&str; 2] = ["sockeye.1", "sockeye-talk.1"];

fn man(stage: &Stage) -> Outcome {
    let _ = std::fs::create_dir(stage.path("man"));
    let ended = stage.start(&["man", "man"], Input::Null).finish();
    // A page ends where its last line does; half of one would not.
    let is_whole = |found: &[u8]| found.len() > 500 && found.ends_with(b"\n");
    let missing = PAGES.iter().find_map(|page| unwritten(stage, &format!("man/{page}"), is_whole));
    let harm = PAGES.iter().find_map(|page| torn(stage, &format!("man/{page}"), None, is_whole));
    Outcome { harm, ..Outcome::new(ended, missing) }
}

fn man_stdout(stage: &Stage) -> Outcome {
    let ended = stage.start(&["man"], Input::Null).finish();
    let is_whole = ended.stdout.len() > 500 && ended.stdout.ends_with(b"\n");
    Outcome::new(ended, (!is_whole).then(|| "half a page".to_owned()))
}

fn completions(stage: &Stage) -> Outcome {
    let ended = stage.start(&["completions", "bash"], Input::Null).finish();
    let is_whole = ended.stdout.len() > 500 && ended.stdout.ends_with(b"\n");
    Outcome::new(ended, (!is_whole).then(|| "half a script".to_owned()))
}
