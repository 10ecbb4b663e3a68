//! Many branches in few plays: a play that goes another way at each choice takes as long as one that does so at one of them.

/// Most plays of the same branches, or of a half of them: each is made ready for both ends.
const MOST_TOGETHER: usize = 32;

/// The branches that are left to be played one by one. `play` goes through as many of those that it is given as one play can, and
/// says which branches of the transcript it did not come to; nothing if it failed, or cannot be played so.
///
/// Where one branch fails, the others are found by halves: that takes some more plays for each that fails. Where branches exclude each
/// other, such as the ways of one `choose`, a play takes only one of them, and they are left.
pub fn left_of(lines: &[usize], play: &mut dyn FnMut(&[usize]) -> Option<Vec<usize>>) -> Vec<usize> {
    let mut left = lines.to_vec();
    for _ in 0..MOST_TOGETHER {
        if left.len() < 2 {
            break;
        }
        let Some(mut unplayed) = play(&left) else {
            let (one, other) = left.split_at(left.len() / 2);
            return [left_of(one, play), left_of(other, play)].concat();
        };
        unplayed.sort_unstable();
        let before = left.len();
        left.retain(|line| unplayed.binary_search(line).is_ok());
        let reached = before - left.len();
        // The same play again would come to no others.
        if reached == 0 || reached == 1 && before > MOST_TOGETHER {
            break;
        }
    }
    left
}
