//! What is told of a transcript that is wrong.
#![allow(unreachable_pub, reason = "a module that several test programs share")]

use transcript::Transcript;

/// What is wrong with a text: line and column, what it is, and what to write.
pub fn told(text: &str) -> Vec<String> {
    let Err(why) = Transcript::parse("x", text.as_bytes(), &[]) else { return Vec::new() };
    let told = why.findings.iter().map(|finding| {
        format!("{}:{} {}; {}", finding.line, finding.column, finding.message, finding.help.clone().unwrap_or_default())
    });
    told.collect()
}
