//! Many values of one kind, each found by its key as long as it stands there.

use super::token::Key;

/// A vector whose free places are used again. A key of a value that is gone finds nothing.
#[derive(Debug)]
pub(in crate::engine) struct Slab<T> {
    places: Vec<Entry<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(in crate::engine) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// How many values there are.
    pub(in crate::engine) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(in crate::engine) fn insert(&mut self, value: T) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push(Entry { generation: 0, value: None });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[slot as usize];
        place.value = Some(value);
        Key { slot, generation: place.generation }
    }

    pub(in crate::engine) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.slot as usize)?;
        if place.generation == key.generation { place.value.as_mut() } else { None }
    }

    pub(in crate::engine) fn contains(&self, key: Key) -> bool {
        self.places
            .get(key.slot as usize)
            .is_some_and(|place| place.generation == key.generation && place.value.is_some())
    }

    pub(in crate::engine) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.slot as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = if key.generation == Key::GENERATIONS { 0 } else { key.generation + 1 };
        self.free.push(key.slot);
        Some(value)
    }

    /// The key of every value.
    pub(in crate::engine) fn keys(&self) -> Vec<Key> {
        self.iter().map(|(key, _)| key).collect()
    }

    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().enumerate().filter_map(|(slot, place)| {
            Some((Key { slot: slot as u32, generation: place.generation }, place.value.as_ref()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_what_is_gone_finds_nothing_though_the_place_is_used_again() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!(slab.remove(a), Some('a'));
        let c = slab.insert('c');
        assert_eq!((c.slot, slab.len()), (a.slot, 2));
        assert_eq!(slab.get_mut(a), None);
        assert_eq!(slab.remove(a), None);
        assert!(!slab.contains(a));
        assert_eq!(slab.get_mut(b), Some(&mut 'b'));
        assert_eq!(slab.get_mut(c), Some(&mut 'c'));
        assert_eq!(slab.keys(), [c, b]);
    }
}
