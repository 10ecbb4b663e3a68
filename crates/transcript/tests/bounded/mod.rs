//! An allocator that counts, and fails past a bound as a machine without memory would: the test then ends in an abort.
//! Each thread, and so each test, has a count of its own.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Bytes that a thread may hold.
const FAILS: usize = 1 << 30;

thread_local! {
    static COUNT: Cell<Count> = const { Cell::new(Count { now: 0, most: 0, asked: 0 }) };
}

#[derive(Clone, Copy)]
struct Count {
    /// Less than nothing where what another thread made is let go.
    now: isize,
    most: isize,
    /// Every byte that was ever asked for: what is copied again and again shows here.
    asked: usize,
}

impl Count {
    fn change(change: impl FnOnce(&mut Self) -> bool) -> bool {
        // A thread that ends counts no more.
        let changed = COUNT.try_with(|cell| {
            let mut count = cell.get();
            let may = change(&mut count);
            if may {
                cell.set(count);
            }
            may
        });
        changed.unwrap_or(true)
    }
}

struct Bounded;

// SAFETY: everything is passed on to the system's allocator as it is, or refused, which the contract allows.
#[allow(unsafe_code, reason = "an allocator is unsafe by its nature")]
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let may = Count::change(|count| {
            count.now += layout.size().cast_signed();
            count.most = count.most.max(count.now);
            count.asked += layout.size();
            count.now <= FAILS.cast_signed()
        });
        if !may {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Count::change(|count| {
            count.now -= layout.size().cast_signed();
            true
        });
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// Bytes that are taken beyond what was taken before.
pub struct Taken {
    before: Count,
}

impl Taken {
    pub fn begin() -> Self {
        let mut taken = Self { before: COUNT.get() };
        taken.again();
        taken
    }

    /// Counts from here on.
    pub fn again(&mut self) {
        Count::change(|count| {
            count.most = count.now;
            true
        });
        self.before = COUNT.get();
    }

    /// The most that was held at any time since.
    pub fn most(&self) -> usize {
        (COUNT.get().most - self.before.now).try_into().unwrap_or(0)
    }

    /// All that was asked for since.
    pub fn asked(&self) -> usize {
        COUNT.get().asked - self.before.asked
    }
}
