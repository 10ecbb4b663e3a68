//! What came of plays, in the forms that people's CI reads: JUnit XML, TAP, JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sockeye::file::{AtomicFile, FileError};

use crate::failure::CommandFailure;

/// One play.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// The transcript, as it was named.
    pub(super) file: String,
    /// What tells it from other plays of the same file; empty if there is no other.
    pub(super) what: String,
    pub(super) lasted: Duration,
    pub(super) failure: Option<Failure>,
}

/// Why a play did not go as written.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) why: CommandFailure,
    /// The exit code that it has.
    pub(super) code: u8,
}

impl Case {
    pub(super) fn name(&self) -> String {
        if self.what.is_empty() { self.file.clone() } else { format!("{} {}", self.file, self.what) }
    }
}

/// The form that a file's name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    JUnit,
    Tap,
    Json,
}

impl Form {
    /// By the ending of the name: `.xml`, `.tap`, `.json`.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "xml" => Some(Self::JUnit),
            "tap" => Some(Self::Tap),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Writes a report; it is there whole or not at all.
pub(super) fn write(path: &Path, form: Form, cases: &[Case]) -> Result<(), FileError> {
    let text = match form {
        Form::JUnit => junit(cases),
        Form::Tap => tap(cases),
        Form::Json => json_text(cases),
    };
    let mut file = AtomicFile::create(path)?;
    file.append(text.as_bytes())?;
    file.commit()
}

fn failed(cases: &[Case]) -> usize {
    cases.iter().filter(|case| case.failure.is_some()).count()
}

fn seconds(cases: &[Case]) -> f64 {
    cases.iter().map(|case| case.lasted.as_secs_f64()).sum()
}

/// The form that Ant's JUnit task began and every CI reads.
fn junit(cases: &[Case]) -> String {
    let (tests, failures, time) = (cases.len(), failed(cases), seconds(cases));
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let head = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{time:.3}\"");
    let _ = writeln!(text, "<testsuites {head}>\n<testsuite name=\"sockeye\" {head}>");
    for case in cases {
        let (file, name, time) = (xml(&case.file), xml(&case.name()), case.lasted.as_secs_f64());
        let _ = write!(text, "<testcase classname=\"{file}\" name=\"{name}\" time=\"{time:.3}\"");
        match &case.failure {
            None => text.push_str("/>\n"),
            Some(failure) => {
                let (headline, account) = (xml(&failure.why.headline()), xml(&failure.why.text()));
                let _ = write!(
                    text,
                    ">\n<failure message=\"{headline}\" type=\"exit {}\">{account}</failure>\n</testcase>\n",
                    failure.code
                );
            }
        }
    }
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

/// Text as XML holds it; characters that XML 1.0 does not know (section 2.2) become U+FFFD.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// TAP 14.
fn tap(cases: &[Case]) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", cases.len());
    for (index, case) in cases.iter().enumerate() {
        // A # begins a directive, and a line is a line.
        let name: String = case
            .name()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect::<String>()
            .replace('\\', "\\\\")
            .replace('#', "\\#");
        let ok = if case.failure.is_none() { "ok" } else { "not ok" };
        let _ = writeln!(text, "{ok} {} - {name}", index + 1);
        let _ = writeln!(text, "  ---\n  duration_ms: {:.3}", case.lasted.as_secs_f64() * 1000.0);
        if let Some(failure) = &case.failure {
            let _ = writeln!(text, "  exit: {}\n  message: |", failure.code);
            for line in failure.why.text().lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
        text.push_str("  ...\n");
    }
    text
}

fn json_text(cases: &[Case]) -> String {
    let case = |case: &Case| {
        let mut object = json!({ "file": case.file, "name": case.name(), "ok": case.failure.is_none(),
            "seconds": case.lasted.as_secs_f64() });
        if let Some(failure) = &case.failure {
            object["exit"] = json!(failure.code);
            object["account"] = json!(failure.why.text());
            if let Some(object) = object.as_object_mut() {
                failure.why.put(object);
            }
        }
        object
    };
    let all: Vec<_> = cases.iter().map(case).collect();
    let report = json!({ "plays": cases.len(), "failed": failed(cases), "seconds": seconds(cases), "cases": all });
    let mut text = String::new();
    crate::json::push_line(&mut text, &report);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<Case> {
        let failure = Failure { why: CommandFailure::Said("<said> \"x\" a & b\n\u{1}  --> x".to_owned()), code: 1 };
        let case = |what: &str, failure| Case {
            file: "a#b.talk".to_owned(),
            what: what.to_owned(),
            lasted: Duration::from_millis(1500),
            failure,
        };
        vec![case("", None), case("row 2", Some(failure))]
    }

    #[test]
    fn junit_escapes_what_xml_would_read() {
        let text = junit(&cases());
        assert!(text.contains("tests=\"2\" failures=\"1\" errors=\"0\" time=\"3.000\""), "{text}");
        assert!(text.contains("<testcase classname=\"a#b.talk\" name=\"a#b.talk\" time=\"1.500\"/>"), "{text}");
        assert!(
            text.contains(
                "type=\"exit 1\">sockeye: &lt;said&gt; &quot;x&quot; a &amp; b\n\u{fffd}  --&gt; x</failure>"
            ),
            "{text}"
        );
    }

    #[test]
    fn tap_has_a_plan_and_escapes_directives() {
        let text = tap(&cases());
        assert!(text.starts_with("TAP version 14\n1..2\nok 1 - a\\#b.talk\n  ---\n"), "{text}");
        assert!(
            text.contains("not ok 2 - a\\#b.talk row 2\n") && text.contains("\n    sockeye: <said> \"x\" a & b\n"),
            "{text}"
        );
    }

    #[test]
    fn json_is_one_object() {
        let value: serde_json::Value = serde_json::from_str(&json_text(&cases())).unwrap();
        assert_eq!((&value["plays"], &value["failed"]), (&json!(2), &json!(1)));
        assert_eq!(value["cases"][1]["exit"], 1);
    }

    #[test]
    fn the_ending_of_the_name_says_which_form() {
        for (name, form) in
            [("a.xml", Some(Form::JUnit)), ("a.TAP", Some(Form::Tap)), ("b.json", Some(Form::Json)), ("x", None)]
        {
            assert_eq!(Form::of(Path::new(name)), form);
        }
    }
}
