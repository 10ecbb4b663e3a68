//! Saved runs as `load` makes them, without the load.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, UNIX_EPOCH};

use sockeye::figures::{Begun, Failed, Run, Shard, collect};

use super::{assert_code, command, run_command};

/// A run at so many exchanges a second, whose answers take so long, from a second of the clock on.
pub struct Made {
    pub began: f64,
    pub seconds: u32,
    pub rate: u32,
    pub latency: f64,
    pub shard: Option<(u32, u32)>,
    pub swing: u32,
}

pub const PLAIN: Made = Made { began: 0.0, seconds: 12, rate: 200, latency: 0.001, shard: None, swing: 7 };

impl Made {
    pub fn run(&self) -> Run {
        let lines = ["greet.talk:2".to_owned(), "greet.talk:5".to_owned()];
        let (collector, mut recorders) = collect(&lines, 1);
        let mut recorder = recorders.remove(0);
        for second in 0..self.seconds {
            // The rate swings a little, and differently with another number.
            let rate = self.rate - (second * self.swing) % 11;
            for n in 0..rate {
                recorder.tick(Duration::from_secs(second.into()) + Duration::from_secs(1) * n / rate);
                let latency = self.latency * (1.0 + f64::from((n * 31 + second * self.swing) % 100) / 200.0);
                recorder.exchange(n as usize % 2, Duration::from_secs_f64(latency));
                recorder.short_play();
                recorder.bytes(5, 9);
            }
        }
        recorder.finish();
        let begun = Begun {
            target: "tcp://127.0.0.1:9999".to_owned(),
            files: vec!["greet.talk".to_owned()],
            connections: 4,
            began: UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_secs_f64(self.began),
            shard: self.shard.map(|(index, of)| Shard { index, of }),
            ..Begun::now("load")
        };
        begun.ended(Duration::from_secs(self.seconds.into()), collector.finish())
    }
}

pub fn report(folder: &Path, arguments: &[&str]) -> Output {
    run_command(command(&[]).current_dir(folder).arg("report").args(arguments), b"")
}

/// What a server can say to harm a reader of the report.
pub const HOSTILE: &str = "</pre></style><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\
    <svg onload=alert(1)><a href=javascript:alert(1)>x</a>\u{202e}\u{1b}[31m &lt;";

pub fn hostile() -> Run {
    let mut run = Made { seconds: 20, ..PLAIN }.run();
    let failed = |line: Option<&str>, kind: &str| Failed {
        line: line.map(str::to_owned),
        kind: kind.to_owned(),
        count: 7,
        since: Duration::from_millis(1500),
        first: format!("error: the server said something else\n  received {HOSTILE}\n"),
    };
    run.measured.counts.failures = 14;
    run.measured.failed = vec![failed(Some(HOSTILE), HOSTILE), failed(None, "refused")];
    run.measured.lines[1].name = HOSTILE.to_owned();
    run.begun.target = HOSTILE.to_owned();
    run.begun.files = vec![HOSTILE.to_owned()];
    run.warnings = vec![HOSTILE.to_owned()];
    run
}

/// A page that was made of a hostile run and a base.
pub fn page(folder: &Path) -> PathBuf {
    fs::write(folder.join("a.json"), hostile().to_json()).unwrap();
    fs::write(folder.join("base.json"), Made { swing: 3, ..PLAIN }.run().to_json()).unwrap();
    let output = report(folder, &["a.json", "--against", "base.json", "--report", "page.html"]);
    assert_code(&output, 0);
    folder.join("page.html")
}
