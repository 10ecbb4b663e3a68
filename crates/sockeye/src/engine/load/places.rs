//! Which row of the figures a line of a transcript belongs to.

/// By line, its place among the lines of the figures.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Of the transcript itself: found at once.
    own: Box<[u32]>,
    /// Of files that it includes, whose lines have large numbers: in their order.
    others: Box<[(usize, u32)]>,
}

/// Has no row.
const NOWHERE: u32 = u32::MAX;
/// Lines below this are looked up directly: four bytes for each are little beside their text.
const NEAR: usize = 1 << 16;

impl Places {
    /// Of these lines, each with its place.
    pub(crate) fn new(mut lines: Vec<(usize, u32)>) -> Self {
        lines.sort_unstable();
        let near = lines.partition_point(|(line, _)| *line < NEAR);
        let mut own = vec![NOWHERE; near.checked_sub(1).map_or(0, |last| lines[last].0 + 1)];
        lines.drain(..near).for_each(|(line, place)| own[line] = place);
        Self { own: own.into(), others: lines.into() }
    }

    #[inline]
    pub(crate) fn of(&self, line: usize) -> Option<usize> {
        let place = match self.own.get(line) {
            Some(place) => *place,
            None => self.others[self.others.binary_search_by_key(&line, |(line, _)| *line).ok()?].1,
        };
        (place != NOWHERE).then_some(place as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_lines_and_far_ones_have_their_places_and_others_have_none() {
        let far = 1000 << 25;
        let places = Places::new(vec![(far, 4), (3, 0), (NEAR, 2), (7, 1), (far + 9, 3)]);
        let found = [3, 7, NEAR, far + 9, far].map(|line| places.of(line));
        assert_eq!(found, [0, 1, 2, 3, 4].map(Some));
        assert_eq!([0, 4, 8, NEAR + 1, far + 1, usize::MAX].map(|line| places.of(line)), [None; 6]);
        assert_eq!(Places::new(vec![]).of(1), None);
    }
}
