//! A transcript brought up to what a server says today: the received line that failed is written anew, and nothing else.

use crate::Verdict;
use crate::notation::show_hiding;
use crate::verdict::Fault;

/// The text of a transcript with the line that a play failed at as it was received.
///
/// What agreed stays as it was written, holes too; from the first difference on, the line is what came. `None` where a
/// line alone cannot mend it: something other than a text line differed, or several lines would have been right.
#[must_use]
pub fn update(text: &str, verdict: &Verdict) -> Option<String> {
    let [expected] = verdict.expected.as_slice() else { return None };
    let byte = verdict.byte.filter(|_| verdict.fault == Fault::Differs && expected.line == verdict.place.line)?;
    let mut lines: Vec<&str> = text.split('\n').collect();
    let line = lines.get_mut(verdict.place.line.checked_sub(1)?)?;
    let (written, ending) = match line.strip_suffix('\r') {
        Some(written) => (written, "\r"),
        None => (*line, ""),
    };
    let head = written.trim_start_matches([' ', '\t']);
    if !head.starts_with("C:") && !head.starts_with("S:") {
        return None;
    }
    // Before the payload nothing is said.
    let payload = written.len() - head.len() + 2;
    let kept: String = written.chars().take(verdict.place.column.saturating_sub(1)).collect();
    let kept = if kept.len() <= payload { format!("{} ", &written[..payload]) } else { kept };
    let came = show_hiding(verdict.received.get(byte - 1..).unwrap_or_default(), &verdict.secrets);
    let mut new = kept + &came;
    if came.is_empty() {
        // A space that now ends the line would not be seen.
        if new.len() == payload + 1 {
            new.truncate(payload);
        } else if let Some(cut) = new.strip_suffix(' ') {
            new = format!("{cut}{{0x20}}");
        }
    }
    let new = new + ending;
    if new == *line {
        return None;
    }
    *line = &new;
    Some(lines.join("\n"))
}
