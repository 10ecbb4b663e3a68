//! The nearest known word to one that was mistyped.

/// The candidate within two edits of `word`, the nearest first; none if nothing is near.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = if word.chars().count() < 4 { 1 } else { 2 };
    let lower = word.to_lowercase();
    let length = lower.chars().count();
    candidates
        .into_iter()
        // A word may be as long as a file.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= most)
        .map(|candidate| (distance(&lower, candidate), candidate))
        .filter(|&(edits, _)| edits <= most)
        // Of two that are as near, the one with the same letters: two of them changed places.
        .min_by_key(|&(edits, candidate)| (edits, letters(candidate) != letters(word)))
        .map(|(_, candidate)| candidate)
}

/// The letters of a word, in order.
fn letters(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.to_lowercase().chars().collect();
    letters.sort_unstable();
    letters
}

/// Whether two words differ in that two letters beside each other changed places.
pub(super) fn is_swapped(a: &str, b: &str) -> bool {
    letters(a) == letters(b) && a.chars().zip(b.chars()).filter(|(a, b)| a != b).count() == 2
}

/// Edits between two words (Levenshtein), case and all.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_finds_its_neighbour() {
        let known = ["repeat", "either", "end", "set"];
        assert_eq!(nearest("repaet", known), Some("repeat"));
        assert_eq!(nearest("Ende", known), Some("end"));
        assert_eq!(nearest("banana", known), None);
    }
}
