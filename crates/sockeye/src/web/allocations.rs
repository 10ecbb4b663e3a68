//! The usual request of a file server, a small file that is there, costs no memory from the heap. Nothing measures time
//! here: what is counted is the same on every machine.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::SystemTime;

use super::answer::Reply;
use super::clock::Now;
use super::field_list::FieldList;
use super::http1::write_head;
use super::options::SiteOptions;
use super::root::Root;
use super::site::Site;
use crate::wire::http::request::{Parsed, parse};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
#[allow(unsafe_code, reason = "an allocator is unsafe by its nature")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory came from `alloc` above, and so from there.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread has taken memory from the heap.
pub(crate) fn allocations() -> usize {
    COUNT.get()
}

#[test]
fn a_small_file_is_answered_without_the_heap() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("assets")).unwrap();
    std::fs::write(folder.path().join("assets/x.txt"), "x".repeat(100)).unwrap();
    let site = Site::new(Root::open(folder.path()).unwrap(), SiteOptions::default());
    let message = b"GET /assets/x.txt?v=1 HTTP/1.1\r\nHost: 127.0.0.1:9999\r\nUser-Agent: load\r\nAccept: */*\r\n\
        Accept-Encoding: gzip\r\nIf-None-Match: \"x\"\r\nX-Unknown: y\r\n\r\n";
    let now = Now::new(SystemTime::now());
    let (mut fields, mut head) = (FieldList::default(), Vec::with_capacity(4096));
    let mut before = 0;
    for round in 0..4 {
        head.clear();
        let Parsed::Whole { request, .. } = parse(message) else { panic!("not whole") };
        let Reply::Ready(mut response) = site.answer(&request, &now, &mut fields) else { panic!("no answer") };
        write_head(&mut response, &fields, request.version, &mut head);
        response.absorb(&mut head, 1024);
        assert!(response.keep_alive && head.ends_with(b"xxx"));
        // The list has its room from the first.
        if round == 0 {
            before = COUNT.get();
        }
    }
    assert_eq!(COUNT.get() - before, 0);
}
