//! What was measured: recorded by many threads, saved, merged and compared.
//!
//! [`collect`] gives a [`Recorder`] to each thread, which counts in memory of its own, and one [`Collector`], which adds
//! them up every second and at the end. What comes of it is [`Measured`], and together with how it was made, a [`Run`]:
//! what `--save` writes. Nothing here knows a socket.
//!
//! ```
//! use std::time::Duration;
//! use sockeye::figures::{self, Begun, Run};
//!
//! let (mut collector, recorders) = figures::collect(&["greet.talk:3".to_owned()], 2);
//! let threads: Vec<_> = recorders.into_iter().map(|mut recorder| std::thread::spawn(move || {
//!     for n in 0..1000 {
//!         recorder.tick(Duration::from_millis(n));          // how long the run has gone on: once a turn of the loop
//!         recorder.exchange(0, Duration::from_micros(50));  // an answer to the first of the lines
//!         recorder.play(Duration::from_micros(60));
//!     }
//!     recorder.finish();
//! })).collect();
//! let measured = collector.finish();
//! assert_eq!((measured.counts.plays, measured.lines[0].latency.count()), (2000, 2000));
//! let begun = Begun { target: "tcp://127.0.0.1:9999".to_owned(), ..Begun::now("load") };
//! let run = begun.ended(Duration::from_secs(1), measured);
//! assert_eq!(Run::read("run.json", run.to_json().as_bytes())?.rate(), 2000.0);
//! # Ok::<(), figures::ReadError>(())
//! ```

mod compare;
mod error;
mod histogram;
mod merge;
mod record;
mod run;
mod saved;
mod tally;
mod time;

pub use compare::{Change, CompareError, Comparison, Metric, Verdict, compare};
pub use error::{ReadError, ReadErrorKind};
pub use histogram::{Bucket, Histogram, HistogramError};
pub use merge::{MergeError, merge, missing_shards};
pub use record::{Collector, Recorder, Snapshot, collect};
pub use run::{
    Arrivals, Begun, Counts, FORMAT, Failed, Generator, Line, LoadModel, Measured, MergedRun, Row, Run, Shard, Within,
};
pub use time::{point_in_time, written};
