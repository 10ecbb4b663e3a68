//! docs/transcript.md as a manual page: the reference of the language has one source. Only what stands there is known:
//! headings, paragraphs, lists, tables, blocks, and words in bold or as code.

const TEXT: &str = include_str!("../../docs/transcript.md");

/// The file's name, as man(1) finds it.
pub(super) const NAME: &str = "sockeye-transcript.5";

/// The page in roff.
pub(super) fn page() -> Vec<u8> {
    let mut page = format!(
        ".TH sockeye\\-transcript 5 \"\" \"sockeye {}\"\n.SH NAME\nsockeye\\-transcript \\- the language of transcripts\n\
        .SH DESCRIPTION\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut is_code = false;
    let mut lines = TEXT.lines().skip(1).peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            page.push_str(if is_code { ".fi\n.RE\n" } else { ".PP\n.RS 4\n.nf\n" });
            is_code = !is_code;
        } else if is_code {
            push(&mut page, &plain(line));
        } else if let Some(title) = line.strip_prefix("## ") {
            push(&mut page, &format!(".SH \"{}\"", plain(&title.to_uppercase())));
        } else if let Some(title) = line.strip_prefix("### ") {
            push(&mut page, &format!(".SS \"{}\"", plain(title)));
        } else if let Some(row) = line.strip_prefix("| ") {
            // The names of the columns stand above the row of dashes.
            let is_head = lines.peek().is_some_and(|next| next.starts_with("| ---"));
            if !is_head && !row.starts_with("---") {
                push_row(&mut page, row);
            }
        } else if let Some(item) = line.strip_prefix("- ") {
            push(&mut page, &format!(".IP \\(bu 2\n{}", marked(item)));
        } else if line.is_empty() {
            page.push_str(".PP\n");
        } else {
            push(&mut page, &guarded(&marked(line.trim_start())));
        }
    }
    page.into_bytes()
}

fn push(page: &mut String, line: &str) {
    page.push_str(line);
    page.push('\n');
}

/// What a row is about, and beside it what is said of it.
fn push_row(page: &mut String, row: &str) {
    let mut cells = row.trim_end_matches('|').split(" | ").map(str::trim).filter(|cell| !cell.is_empty());
    let what = cells.next().unwrap_or_default();
    let said: Vec<String> = cells.map(marked).collect();
    push(page, &format!(".TP\n{}\n{}", guarded(&marked(what)), guarded(&said.join("; "))));
}

/// In roff a backslash is a command, and `-` may become a hyphen that cannot be pasted (groff(7)).
fn plain(text: &str) -> String {
    guarded(&text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq"))
}

/// A line must not begin with a command.
fn guarded(line: &str) -> String {
    if line.starts_with('.') { format!("\\&{line}") } else { line.to_owned() }
}

/// Words as code and words in bold are bold.
fn marked(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split('`').enumerate() {
        let part = part.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        if number % 2 == 1 {
            out.push_str(&format!("\\fB{part}\\fP"));
            continue;
        }
        for (number, part) in part.split("**").enumerate() {
            if number % 2 == 1 {
                out.push_str(&format!("\\fB{part}\\fP"));
            } else {
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader of the page sees, without its commands.
    fn read() -> String {
        String::from_utf8(page())
            .unwrap()
            .replace("\\fB", "")
            .replace("\\fP", "")
            .replace("\\-", "-")
            .replace("\\(aq", "'")
            .replace("\\&", "")
            .replace("\\e", "\\")
    }

    #[test]
    fn every_heading_example_and_row_of_the_source_is_on_the_page() {
        let page = read();
        let mut is_code = false;
        for line in TEXT.lines().skip(1) {
            if line.starts_with("```") {
                is_code = !is_code;
                continue;
            }
            let words = line.trim_start_matches(['#', '|', ' ', '-']).replace('`', "").replace("**", "");
            if is_code {
                assert!(page.contains(&format!("{line}\n")), "{line}");
            } else if line.starts_with("## ") {
                assert!(page.contains(&format!(".SH \"{}\"\n", words.to_uppercase())), "{line}");
            } else if !line.starts_with('|') {
                assert!(page.contains(words.trim()), "{line}");
            }
        }
        for word in ["**", "```", "| ---"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
