//! A run as a file: JSON, whose names are in docs/load.md and stay as they are. What can be worked out from the histograms
//! is written for people and their tools, and worked out again when it is read.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    Arrivals, Begun, Counts, Failed, Generator, Histogram, Line, LoadModel, Measured, MergedRun, ReadError,
    ReadErrorKind, Row, Run, Shard, Within,
    run::{FORMAT, a_second},
    time,
};
use crate::limits;

/// What tells a saved run from other JSON, before all else is looked at.
#[derive(Deserialize)]
struct Mark {
    format: Option<u64>,
    verb: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SavedRun {
    format: u64,
    version: String,
    verb: String,
    target: String,
    files: Vec<String>,
    began: String,
    plays: u64,
    exchanges: u64,
    failures: u64,
    seconds: f64,
    rate: f64,
    latency: Option<Latency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<SavedWithin>,
    sent: u64,
    received: u64,
    #[serde(rename = "loop")]
    pace: SavedLoadModel,
    connections: u64,
    ramp: f64,
    shard: Option<SavedShard>,
    late: SavedLate,
    generator: SavedGenerator,
    interrupted: bool,
    #[serde(default)]
    never_played: Vec<String>,
    warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<String>,
    histogram: String,
    lines: Vec<SavedLine>,
    whole_plays: Distribution,
    connects: Distribution,
    handshakes: Distribution,
    errors: Vec<SavedFailed>,
    rows: Vec<SavedRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    merged: Vec<SavedPart>,
}

#[derive(Serialize, Deserialize)]
struct SavedWithin {
    from: f64,
    exchanges: u64,
}

/// Percentiles in seconds.
#[derive(Serialize, Deserialize, Clone, Copy)]
struct Latency {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum SavedLoadModel {
    Closed,
    Open { rate: f64, arrivals: SavedArrivals },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SavedArrivals {
    Constant,
    Poisson,
}

#[derive(Serialize, Deserialize)]
struct SavedShard {
    index: u32,
    of: u32,
}

#[derive(Serialize, Deserialize)]
struct SavedLate {
    count: u64,
    max: f64,
}

#[derive(Serialize, Deserialize)]
struct SavedGenerator {
    threads: u32,
    cpu: f64,
}

#[derive(Serialize, Deserialize)]
struct SavedLine {
    line: String,
    exchanges: u64,
    failures: u64,
    seconds: f64,
    rate: f64,
    latency: Option<Latency>,
    histogram: String,
}

#[derive(Serialize, Deserialize)]
struct Distribution {
    count: u64,
    latency: Option<Latency>,
    histogram: String,
}

#[derive(Serialize, Deserialize)]
struct SavedFailed {
    line: Option<String>,
    kind: String,
    count: u64,
    since: f64,
    first: String,
}

#[derive(Serialize, Deserialize)]
struct SavedRow {
    second: u64,
    plays: u64,
    exchanges: u64,
    failures: u64,
    sent: u64,
    received: u64,
    late: u64,
    late_max: f64,
    latency: Option<Latency>,
    histogram: String,
}

#[derive(Serialize, Deserialize)]
struct SavedPart {
    file: String,
    shard: Option<SavedShard>,
    began: String,
    seconds: f64,
    plays: u64,
    exchanges: u64,
    failures: u64,
    sent: u64,
    received: u64,
    late: SavedLate,
    generator: SavedGenerator,
}

impl Run {
    /// The file that `--save` writes.
    ///
    /// # Panics
    /// Never: everything in it can be written as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(&SavedRun::from(self)).expect("everything in it has a name");
        text.push('\n');
        text
    }

    /// Reads a file that `--save` wrote.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is no run: see [`ReadErrorKind`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(limits::SAVED_RUN + 1).read_to_end(&mut bytes));
        read.map_err(|error| ReadError::new(path, ReadErrorKind::Unreadable(error)))?;
        Self::read(&path.display().to_string(), &bytes)
    }

    /// The same of what is in memory; the name is for errors.
    ///
    /// # Errors
    /// It is too large, or is no run: see [`ReadErrorKind`].
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, ReadError> {
        read(bytes).map_err(|kind| ReadError::new(name, kind))
    }
}

fn read(bytes: &[u8]) -> Result<Run, ReadErrorKind> {
    if bytes.len() as u64 > limits::SAVED_RUN {
        return Err(ReadErrorKind::TooLarge(limits::SAVED_RUN));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(ReadErrorKind::Empty);
    }
    let mark: Mark = serde_json::from_slice(bytes).map_err(|error| json_error(&error))?;
    match mark {
        Mark { format: Some(FORMAT), verb: Some(_) } => {}
        Mark { format: Some(format), verb: Some(_) } => return Err(ReadErrorKind::OtherFormat(format)),
        _ => return Err(ReadErrorKind::NotARun("it has no `format` and `verb`".to_owned())),
    }
    let saved: SavedRun = serde_json::from_slice(bytes).map_err(|error| json_error(&error))?;
    saved.run()
}

fn json_error(error: &serde_json::Error) -> ReadErrorKind {
    match error.classify() {
        serde_json::error::Category::Eof => ReadErrorKind::Cut,
        serde_json::error::Category::Data => ReadErrorKind::NotARun(error.to_string()),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            ReadErrorKind::NotJson { line: error.line(), column: error.column() }
        }
    }
}

impl From<&Run> for SavedRun {
    fn from(run: &Run) -> Self {
        let Run { begun, lasted, measured, generator, .. } = run;
        let Counts { plays, failures, sent, received, .. } = measured.counts;
        let line = |line: &Line| SavedLine {
            line: line.name.clone(),
            exchanges: line.latency.count(),
            failures: line.failures,
            seconds: lasted.as_secs_f64(),
            rate: a_second(line.latency.count(), *lasted),
            latency: Latency::of(&line.latency),
            histogram: line.latency.encode(),
        };
        Self {
            format: FORMAT,
            version: begun.version.clone(),
            verb: begun.verb.clone(),
            target: begun.target.clone(),
            files: begun.files.clone(),
            began: time::written(begun.began),
            plays,
            exchanges: run.exchanges(),
            failures,
            seconds: lasted.as_secs_f64(),
            rate: run.rate(),
            latency: Latency::of(&measured.latency),
            within: run
                .within
                .map(|within| SavedWithin { from: within.from.as_secs_f64(), exchanges: within.exchanges }),
            sent,
            received,
            pace: begun.model.into(),
            connections: begun.connections,
            ramp: begun.ramp.as_secs_f64(),
            shard: begun.shard.map(SavedShard::from),
            late: SavedLate::of(&measured.counts),
            generator: SavedGenerator::from(*generator),
            interrupted: run.interrupted,
            never_played: run.never_played.clone(),
            warnings: run.warnings.clone(),
            gaps: run.gaps.clone(),
            histogram: measured.latency.encode(),
            lines: measured.lines.iter().map(line).collect(),
            whole_plays: Distribution::of(&measured.whole_plays),
            connects: Distribution::of(&measured.connects),
            handshakes: Distribution::of(&measured.handshakes),
            errors: measured.failed.iter().map(SavedFailed::from).collect(),
            rows: measured.rows.iter().map(SavedRow::from).collect(),
            merged: run.parts.iter().map(SavedPart::from).collect(),
        }
    }
}

impl SavedRun {
    fn run(self) -> Result<Run, ReadErrorKind> {
        let latency = histogram("histogram", &self.histogram, self.exchanges)?;
        let lines = lines(self.lines, self.exchanges)?;
        let rows = rows(self.rows)?;
        let counts = Counts {
            plays: self.plays,
            failures: self.failures,
            sent: self.sent,
            received: self.received,
            ..self.late.counts()?
        };
        let measured = Measured {
            counts,
            latency,
            lines,
            whole_plays: self.whole_plays.histogram("whole_plays")?,
            connects: self.connects.histogram("connects")?,
            handshakes: self.handshakes.histogram("handshakes")?,
            rows,
            failed: self.errors.into_iter().map(SavedFailed::failed).collect::<Result<_, _>>()?,
        };
        let begun = Begun {
            verb: self.verb,
            version: self.version,
            target: self.target,
            files: self.files,
            began: moment(&self.began)?,
            connections: self.connections,
            ramp: duration("ramp", self.ramp)?,
            model: self.pace.model()?,
            shard: self.shard.map(SavedShard::shard).transpose()?,
        };
        let within = self.within.map(|SavedWithin { from, exchanges }| {
            duration("within.from", from).map(|from| Within { from, exchanges })
        });
        let generator = self.generator.generator()?;
        Ok(Run {
            begun,
            lasted: duration("seconds", self.seconds)?,
            within: within.transpose()?,
            measured,
            generator,
            interrupted: self.interrupted,
            never_played: self.never_played,
            warnings: self.warnings,
            gaps: self.gaps,
            parts: self.merged.into_iter().map(SavedPart::part).collect::<Result<_, _>>()?,
        })
    }
}

/// The lines of a run, which have all of its exchanges if there are any.
fn lines(saved: Vec<SavedLine>, exchanges: u64) -> Result<Vec<Line>, ReadErrorKind> {
    let together = saved.iter().fold(0, |sum, line| u64::saturating_add(sum, line.exchanges));
    let is_whole = saved.is_empty() || together == exchanges;
    let lines = saved.into_iter().map(|saved| {
        let latency = histogram(&saved.line, &saved.histogram, saved.exchanges)?;
        Ok(Line { name: saved.line, failures: saved.failures, latency })
    });
    let lines = lines.collect::<Result<_, _>>()?;
    if !is_whole {
        let what = format!("its lines have {together} exchanges, and all are {exchanges}");
        return Err(ReadErrorKind::Damaged(what));
    }
    Ok(lines)
}

/// The seconds of a run, of which none is missing.
fn rows(saved: Vec<SavedRow>) -> Result<Vec<Row>, ReadErrorKind> {
    let mut rows = Vec::new();
    for saved in saved {
        if saved.second != rows.len() as u64 {
            return Err(ReadErrorKind::Damaged(format!("a row of second {} is missing", rows.len())));
        }
        rows.push(saved.row()?);
    }
    Ok(rows)
}

/// A histogram that has as many times as are counted beside it.
fn histogram(what: &str, text: &str, count: u64) -> Result<Histogram, ReadErrorKind> {
    let histogram = if text.is_empty() {
        Histogram::new()
    } else {
        Histogram::decode(text)
            .map_err(|error| ReadErrorKind::Damaged(format!("the histogram of `{what}`: {error}")))?
    };
    if histogram.count() == count {
        return Ok(histogram);
    }
    let counted = histogram.count();
    Err(ReadErrorKind::Damaged(format!("the histogram of `{what}` has {counted} times, and {count} are counted")))
}

fn duration(what: &str, seconds: f64) -> Result<Duration, ReadErrorKind> {
    let most = 1e9;
    if (0.0..most).contains(&seconds) {
        return Ok(Duration::from_nanos(nanos(seconds)));
    }
    Err(ReadErrorKind::Damaged(format!("`{what}` is {seconds} seconds")))
}

/// Rounded, so that what was written comes back as it was.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the caller has seen that it fits")]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

fn moment(text: &str) -> Result<SystemTime, ReadErrorKind> {
    time::read(text).ok_or_else(|| ReadErrorKind::Damaged(format!("`{}` is no point in time", text.escape_debug())))
}

impl Latency {
    fn of(histogram: &Histogram) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|part| histogram.quantile(part).as_secs_f64());
        let (mean, max) = (histogram.mean().as_secs_f64(), histogram.max().as_secs_f64());
        Some(Self { mean, p50, p90, p99, p999, max })
    }
}

impl Distribution {
    fn of(histogram: &Histogram) -> Self {
        let text = if histogram.is_empty() { String::new() } else { histogram.encode() };
        Self { count: histogram.count(), latency: Latency::of(histogram), histogram: text }
    }

    fn histogram(&self, what: &str) -> Result<Histogram, ReadErrorKind> {
        histogram(what, &self.histogram, self.count)
    }
}

impl SavedLate {
    fn of(counts: &Counts) -> Self {
        Self { count: counts.late, max: counts.latest.as_secs_f64() }
    }

    /// Counts of which only what was late is known.
    fn counts(&self) -> Result<Counts, ReadErrorKind> {
        Ok(Counts { late: self.count, latest: duration("late.max", self.max)?, ..Counts::default() })
    }
}

impl From<Generator> for SavedGenerator {
    fn from(Generator { threads, cpu }: Generator) -> Self {
        Self { threads, cpu: cpu.as_secs_f64() }
    }
}

impl SavedGenerator {
    fn generator(&self) -> Result<Generator, ReadErrorKind> {
        Ok(Generator { threads: self.threads, cpu: duration("cpu", self.cpu)? })
    }
}

impl From<&Row> for SavedRow {
    fn from(row: &Row) -> Self {
        let Counts { plays, failures, sent, received, late, latest } = row.counts;
        Self {
            second: row.second,
            plays,
            exchanges: row.exchanges,
            failures,
            sent,
            received,
            late,
            late_max: latest.as_secs_f64(),
            latency: Latency::of(&row.latency()),
            histogram: row.packed.clone(),
        }
    }
}

impl SavedRow {
    fn row(self) -> Result<Row, ReadErrorKind> {
        histogram(&format!("second {}", self.second), &self.histogram, self.exchanges)?;
        let latest = duration("late_max", self.late_max)?;
        let counts = Counts {
            plays: self.plays,
            failures: self.failures,
            sent: self.sent,
            received: self.received,
            late: self.late,
            latest,
        };
        Ok(Row { second: self.second, counts, exchanges: self.exchanges, packed: self.histogram })
    }
}

impl From<&Failed> for SavedFailed {
    fn from(failed: &Failed) -> Self {
        let Failed { line, kind, count, since, first } = failed.clone();
        Self { line, kind, count, since: since.as_secs_f64(), first }
    }
}

impl SavedFailed {
    fn failed(self) -> Result<Failed, ReadErrorKind> {
        let since = duration("since", self.since)?;
        Ok(Failed { line: self.line, kind: self.kind, count: self.count, since, first: self.first })
    }
}

impl From<Shard> for SavedShard {
    fn from(Shard { index, of }: Shard) -> Self {
        Self { index, of }
    }
}

impl SavedShard {
    fn shard(self) -> Result<Shard, ReadErrorKind> {
        let Self { index, of } = self;
        if index == 0 || index > of || of > Shard::MOST {
            return Err(ReadErrorKind::Damaged(format!("there is no shard {index} of {of}")));
        }
        Ok(Shard { index, of })
    }
}

impl From<&MergedRun> for SavedPart {
    fn from(part: &MergedRun) -> Self {
        let Counts { plays, failures, sent, received, .. } = part.counts;
        Self {
            file: part.name.clone(),
            shard: part.shard.map(SavedShard::from),
            began: time::written(part.began),
            seconds: part.lasted.as_secs_f64(),
            plays,
            exchanges: part.exchanges,
            failures,
            sent,
            received,
            late: SavedLate::of(&part.counts),
            generator: SavedGenerator::from(part.generator),
        }
    }
}

impl SavedPart {
    fn part(self) -> Result<MergedRun, ReadErrorKind> {
        let counts = Counts {
            plays: self.plays,
            failures: self.failures,
            sent: self.sent,
            received: self.received,
            ..self.late.counts()?
        };
        Ok(MergedRun {
            name: self.file,
            shard: self.shard.map(SavedShard::shard).transpose()?,
            began: moment(&self.began)?,
            lasted: duration("seconds", self.seconds)?,
            counts,
            exchanges: self.exchanges,
            generator: self.generator.generator()?,
        })
    }
}

impl From<LoadModel> for SavedLoadModel {
    fn from(pace: LoadModel) -> Self {
        match pace {
            LoadModel::Closed => Self::Closed,
            LoadModel::Open { rate, arrivals: Arrivals::Constant } => {
                Self::Open { rate, arrivals: SavedArrivals::Constant }
            }
            LoadModel::Open { rate, arrivals: Arrivals::Poisson } => {
                Self::Open { rate, arrivals: SavedArrivals::Poisson }
            }
        }
    }
}

impl SavedLoadModel {
    fn model(self) -> Result<LoadModel, ReadErrorKind> {
        match self {
            Self::Closed => Ok(LoadModel::Closed),
            Self::Open { rate, .. } if !(rate.is_finite() && rate > 0.0) => {
                Err(ReadErrorKind::Damaged(format!("the rate asked for is {rate}")))
            }
            Self::Open { rate, arrivals: SavedArrivals::Constant } => {
                Ok(LoadModel::Open { rate, arrivals: Arrivals::Constant })
            }
            Self::Open { rate, arrivals: SavedArrivals::Poisson } => {
                Ok(LoadModel::Open { rate, arrivals: Arrivals::Poisson })
            }
        }
    }
}

#[cfg(test)]
mod tests;
