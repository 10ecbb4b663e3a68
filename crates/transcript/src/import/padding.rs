//! What stands between the marks of a side and what it says: as many spaces, or tabs, as all its lines have.

/// So many spaces, or tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Padding {
    with: char,
    count: usize,
}

impl Padding {
    /// Of what belongs to neither side.
    pub(super) const ONE: Self = Self { with: ' ', count: 1 };

    /// What all lines of a side have in front, as they stand behind their marks.
    pub(super) fn of<'a>(said: impl Iterator<Item = &'a str>) -> Self {
        let said: Vec<&str> = said.filter(|said| !said.trim().is_empty()).collect();
        // A tab that all have is the printer's; that of one line is said.
        let with = if !said.is_empty() && said.iter().all(|said| said.starts_with('\t')) { '\t' } else { ' ' };
        let counts = || said.iter().map(|said| said.len() - said.trim_start_matches(with).len());
        let least = counts().min().unwrap_or(1);
        let next = counts().filter(|count| *count > 0).min();
        // Where one mark lost its space the others still have one; what is set in further stays so.
        Self { with, count: if least == 0 && next == Some(1) { 1 } else { least } }
    }

    /// What is said, without it.
    pub(super) fn cut(self, said: &str) -> &str {
        let there = said.len() - said.trim_start_matches(self.with).len();
        &said[self.count.min(there)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_lines_have_in_front_is_cut() {
        for (said, cut) in [
            (&["  a", "   b", ""][..], &["a", " b", ""][..]),
            (&["a", " b"], &["a", "b"]),
            (&["a", "  b"], &["a", "  b"]),
            (&["\ta", "\t\tb"], &["a", "\tb"]),
            (&[" a", "\tb"], &["a", "\tb"]),
            (&[" \ta", " b"], &["\ta", "b"]),
        ] {
            let padding = Padding::of(said.iter().copied());
            assert_eq!(said.iter().map(|said| padding.cut(said)).collect::<Vec<_>>(), cut);
        }
    }
}
