//! What was tried already, in a file under `target`: a sweep that was stopped goes on where it was.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::case::Case;
use super::verdict::Verdict;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) done: BTreeMap<String, (Verdict, String)>,
    file: File,
}

impl State {
    /// Opens the state of a sweep over this very program; another program's is put aside.
    pub(crate) fn open(path: &Path, program: &str) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut done = BTreeMap::new();
        if text.lines().next() == Some(program) {
            done.extend(text.lines().skip(1).filter_map(read));
        } else if !text.is_empty() {
            fs::rename(path, path.with_extension("before")).map_err(wrong)?;
        }
        let fresh = done.is_empty();
        let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(wrong)?;
        if fresh {
            file.set_len(0).and_then(|()| writeln!(file, "{program}")).map_err(wrong)?;
        }
        Ok(Self { done, file })
    }

    pub(crate) fn note(&mut self, case: &Case, verdict: Verdict, why: &str) {
        // A whole line in one write, so that what a stopped sweep leaves is whole but for its last line.
        let _ =
            self.file.write_all(format!("{case}\t{}\t{}\n", verdict.name(), why.replace(['\n', '\t'], " ")).as_bytes());
        self.done.insert(case.to_string(), (verdict, why.to_owned()));
    }
}

fn read(line: &str) -> Option<(String, (Verdict, String))> {
    let [case, verdict, why] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
    let verdict = Verdict::ALL.into_iter().find(|one| one.name() == verdict)?;
    Some((case.to_owned(), (verdict, why.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_goes_on_with_the_same_program_and_begins_anew_with_another() {
        let path = std::env::temp_dir().join(format!("faults-state-{}", std::process::id()));
        let case: Case = "a:read:EIO:1".parse().unwrap();
        State::open(&path, "first").unwrap().note(&case, Verdict::Lost, "two\nlines");
        // The last line of a sweep that was killed while it wrote.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"a:read:EI").unwrap();
        let again = State::open(&path, "first").unwrap();
        assert_eq!(again.done["a:read:EIO:1"], (Verdict::Lost, "two lines".to_owned()));
        assert_eq!(again.done.len(), 1);
        assert!(State::open(&path, "second").unwrap().done.is_empty());
        fs::remove_file(&path).unwrap();
        fs::remove_file(path.with_extension("before")).unwrap();
    }
}
