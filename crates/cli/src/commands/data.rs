//! Rows of values: a play for each. CSV as RFC 4180 says, with the names in the first row, or a JSON object a line.

use std::io::Read;
use std::path::Path;

use serde_json::Value;
use sockeye::limits;

use crate::exit::Exit;
use crate::flags::is_name;
use crate::output::Console;

/// One row: the names' values, and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) values: Vec<(String, Vec<u8>)>,
}

/// Why there are no rows.
#[derive(Debug, PartialEq, Eq)]
enum DataError {
    /// The file cannot be read.
    Unreadable(String),
    /// It is not what its name says.
    Wrong(String),
}

/// The rows of a file, at least one; told is what is wrong with it, and which of the values that were set is never used.
pub(super) fn rows(path: &Path, set: &[(String, String)], console: &Console) -> Result<Vec<Row>, Exit> {
    let rows = read(path).map_err(|error| match error {
        DataError::Unreadable(why) => console.fail(Exit::CannotRead, &why),
        DataError::Wrong(why) => console.fail(Exit::Usage, &why),
    })?;
    if rows.is_empty() {
        return Err(console.fail(Exit::Usage, &format!("{} has no row", path.display())));
    }
    if let Some(why) = overruled(set, &rows, path) {
        console.warn(&why);
    }
    Ok(rows)
}

/// Reads the rows of a file.
fn read(path: &Path) -> Result<Vec<Row>, DataError> {
    let name = path.display();
    let unreadable = |why: String| DataError::Unreadable(format!("cannot read {name}: {why}"));
    let found = std::fs::metadata(path).map_err(|error| unreadable(sockeye::net::words(&error)))?;
    if found.len() > limits::ROWS {
        return Err(unreadable(format!("it has more than {}", limits::bytes(limits::ROWS))));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(sockeye::net::words(&error)))?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(not_utf8(error.as_bytes())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let rows = match ending.as_str() {
        "csv" => csv(text),
        "jsonl" | "ndjson" => json_lines(text),
        _ => Err((0, "is neither .csv nor .jsonl".to_owned())),
    };
    rows.map_err(|(line, why)| {
        DataError::Wrong(if line > 0 { format!("{name}:{line}: {why}") } else { format!("{name} {why}") })
    })
}

/// What is wrong with a file that is not UTF-8, as spreadsheets write it where they are not told to.
fn not_utf8(bytes: &[u8]) -> String {
    let it_is = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16".to_owned(),
        bytes => {
            let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
            let line = bytes[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
            format!("line {line} is not UTF-8")
        }
    };
    format!("{it_is}: save it as UTF-8")
}

/// What to say of a value that is set and never used, because each row has its own. What only some rows have, the others take
/// from there; and a secret name may have another value in each.
fn overruled(set: &[(String, String)], rows: &[Row], path: &Path) -> Option<String> {
    let has = |row: &Row, name: &str| row.values.iter().any(|(own, _)| own == name);
    let (name, _) = set.iter().find(|(name, _)| rows.iter().all(|row| has(row, name)))?;
    let data = path.display();
    Some(format!("the value that --set gives `{name}` is never used: every row of {data} has its own"))
}

/// What is wrong on a line is told with its number.
type Rows = Result<Vec<Row>, (usize, String)>;

/// The line on which a record begins, and its fields.
type Record = (usize, Vec<String>);

fn csv(text: &str) -> Rows {
    let mut records = records(text)?.into_iter();
    let Some((first, names)) = records.next() else { return Err((0, "is empty".to_owned())) };
    let names: Vec<String> = names.into_iter().map(|name| name.trim().to_owned()).collect();
    check_names(&names, first)?;
    records
        .map(|(line, fields)| {
            if fields.len() != names.len() {
                return Err((line, format!("{} values for {} names", fields.len(), names.len())));
            }
            let values = names.iter().cloned().zip(fields.into_iter().map(String::into_bytes)).collect();
            Ok(Row { line, values })
        })
        .collect()
}

fn check_names(names: &[String], line: usize) -> Result<(), (usize, String)> {
    for (index, name) in names.iter().enumerate() {
        if !is_name(name) {
            return Err((line, format!("`{name}` cannot be a name: the first row names the columns")));
        }
        if names[..index].contains(name) {
            return Err((line, format!("`{name}` is there twice")));
        }
    }
    Ok(())
}

/// What is read behind the text. A quote that is never closed takes everything behind it for its field, this too.
const END: &[u8] = b"\n\0";

/// The records of a CSV text and the line on which each begins. Empty lines are none.
fn records(text: &str) -> Result<Vec<Record>, (usize, String)> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes().chain(END));
    let (mut records, mut counted, mut line) = (Vec::new(), 0, 1);
    let mut record = csv::StringRecord::new();
    loop {
        // Line ends and empty lines before a record count as a part of it.
        let before = usize::try_from(reader.position().byte()).unwrap_or(text.len()).min(text.len());
        let rest = &text[before..];
        let begin = before + rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        line += text[counted..begin].matches('\n').count();
        counted = begin;
        let is_there = reader.read_record(&mut record).map_err(|error| (line, error.to_string()))?;
        match record.iter().next_back() {
            Some("\0") if record.len() == 1 && begin == text.len() => return Ok(records),
            Some(last) if last.ends_with("\n\0") => return Err((line, "a quote is never closed".to_owned())),
            _ if !is_there => return Ok(records),
            _ => records.push((line, record.iter().map(str::to_owned).collect())),
        }
    }
}

fn json_lines(text: &str) -> Rows {
    let mut rows = Vec::new();
    for (index, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = index + 1;
        let value: Value = serde_json::from_str(text).map_err(|error| (line, error.to_string()))?;
        let Value::Object(object) = value else {
            return Err((line, "a row is an object: {\"name\":\"Ann\"}".to_owned()));
        };
        let mut values = Vec::new();
        for (name, value) in object {
            if !is_name(&name) {
                return Err((line, format!("`{name}` cannot be a name")));
            }
            let text = match value {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err((line, format!("the value of `{name}` is neither text, number nor true or false")));
                }
            };
            values.push((name, text.into_bytes()));
        }
        rows.push(Row { line, values });
    }
    if rows.is_empty() { Err((0, "is empty".to_owned())) } else { Ok(rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rows: Rows) -> Result<Vec<String>, (usize, String)> {
        let value = |(name, value): &(String, Vec<u8>)| format!("{name}={}", String::from_utf8_lossy(value));
        let row = |row: Row| format!("{}: {}", row.line, row.values.iter().map(value).collect::<Vec<_>>().join(" "));
        rows.map(|rows| rows.into_iter().map(row).collect())
    }

    #[test]
    fn a_row_of_csv_gives_each_name_a_value() {
        let text = "name,note\r\nAnn,\"a, \"\"b\"\"\nc\"\r\n\r\nBob,\n,x";
        assert_eq!(
            shown(csv(text)),
            Ok(vec![
                "2: name=Ann note=a, \"b\"\nc".to_owned(),
                "5: name=Bob note=".to_owned(),
                "6: name= note=x".to_owned()
            ])
        );
        assert_eq!(
            shown(csv("a b\nx\n")),
            Err((1, "`a b` cannot be a name: the first row names the columns".to_owned()))
        );
        assert_eq!(shown(csv("a,a\nx,y\n")), Err((1, "`a` is there twice".to_owned())));
        assert_eq!(shown(csv("a,b\nx\n")), Err((2, "1 values for 2 names".to_owned())));
        assert_eq!(shown(csv("a\n\"x\n")), Err((2, "a quote is never closed".to_owned())));
        assert_eq!(shown(csv("a,b\n1,2\n3,\"x\n,\n")), Err((3, "a quote is never closed".to_owned())));
        assert_eq!(shown(csv("")), Err((0, "is empty".to_owned())));
    }

    #[test]
    fn rows_are_counted_by_the_lines_on_which_they_begin() {
        for end in ["\n", "\r\n"] {
            let text = ["", "a", "", "", "\"x", "y\"", "", "z", "\"\"", "", ""].join(end);
            let two = format!("5: a=x{end}y");
            assert_eq!(shown(csv(&text)), Ok(vec![two, "8: a=z".to_owned(), "9: a=".to_owned()]), "{text:?}");
        }
        // A quote inside a field means nothing, and NUL is a character as any other.
        assert_eq!(shown(csv("a\nb\"c\n\0\n\0")), Ok(vec!["2: a=b\"c".into(), "3: a=\0".into(), "4: a=\0".into()]));
    }

    #[test]
    fn a_row_of_json_is_an_object() {
        let text = "{\"name\":\"Ann\",\"age\":7}\n\n{\"ok\":true}\n";
        assert_eq!(shown(json_lines(text)), Ok(vec!["1: age=7 name=Ann".to_owned(), "3: ok=true".to_owned()]));
        assert_eq!(
            shown(json_lines("{\"a\":[1]}\n")),
            Err((1, "the value of `a` is neither text, number nor true or false".to_owned()))
        );
        assert!(json_lines("{\n").is_err() && json_lines("[1]\n").is_err() && json_lines("{\"_\":1}\n").is_err());
    }
}
