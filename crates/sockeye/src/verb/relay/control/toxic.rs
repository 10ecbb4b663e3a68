//! Toxics: what they are called, what they are told, and which faults they are.

use std::time::Duration;

use serde_json::{Map, Value, json};
use transcript::Side;

use super::refusal::Refusal;
use crate::faults::{After, Delay, Faults, LiveFault, Shape, Slice};
use crate::wire::http::status::Status;

/// Bytes a second in a `KB/s`.
const KILOBYTE: u64 = 1000;
/// Largest number that is taken: times and sizes beyond it are none.
const LARGEST: u64 = 1 << 53;

/// What a toxic does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Latency,
    Bandwidth,
    SlowClose,
    Timeout,
    ResetPeer,
    Slicer,
    LimitData,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Latency,
        Self::Bandwidth,
        Self::SlowClose,
        Self::Timeout,
        Self::ResetPeer,
        Self::Slicer,
        Self::LimitData,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Bandwidth => "bandwidth",
            Self::SlowClose => "slow_close",
            Self::Timeout => "timeout",
            Self::ResetPeer => "reset_peer",
            Self::Slicer => "slicer",
            Self::LimitData => "limit_data",
        }
    }

    fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Latency => &["latency", "jitter"],
            Self::Bandwidth => &["rate"],
            Self::SlowClose => &["delay"],
            Self::Timeout | Self::ResetPeer => &["timeout"],
            Self::Slicer => &["average_size", "size_variation", "delay"],
            Self::LimitData => &["bytes"],
        }
    }
}

/// One toxic of a proxy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Toxic {
    pub(super) id: u64,
    version: u64,
    pub(super) name: String,
    kind: Kind,
    pub(super) side: Side,
    toxicity: f64,
    /// In the order of the kind's attributes.
    values: [u64; 3],
}

impl Toxic {
    /// One that a client adds.
    pub(super) fn read(wanted: &Map<String, Value>, id: u64) -> Result<Self, Refusal> {
        let stream = text(wanted, "stream")?.unwrap_or("downstream");
        let side = match stream.to_ascii_lowercase().as_str() {
            "upstream" => Side::Client,
            "downstream" => Side::Server,
            _ => {
                let why = "stream was invalid, can be either upstream or downstream";
                return Err(Refusal::new(Status::BAD_REQUEST, why));
            }
        };
        let kind = text(wanted, "type")?.unwrap_or_default();
        let Some(kind) = Kind::ALL.into_iter().find(|known| known.name() == kind) else {
            return Err(Refusal::new(Status::BAD_REQUEST, "invalid toxic type"));
        };
        let name = match text(wanted, "name")? {
            None | Some("") => format!("{}_{}", kind.name(), stream_of(side)),
            Some(name) => name.to_owned(),
        };
        let mut toxic = Self { id, version: 0, name, kind, side, toxicity: 1.0, values: [0; 3] };
        toxic.put(wanted)?;
        Ok(toxic)
    }

    /// The same with what a client changes.
    pub(super) fn changed(&self, wanted: &Map<String, Value>) -> Result<Self, Refusal> {
        let mut toxic = Self { version: self.version + 1, ..self.clone() };
        toxic.put(wanted)?;
        Ok(toxic)
    }

    fn put(&mut self, wanted: &Map<String, Value>) -> Result<(), Refusal> {
        if let Some(toxicity) = field(wanted, "toxicity") {
            self.toxicity = toxicity.as_f64().ok_or_else(|| Refusal::body("toxicity is a number from 0 to 1"))?;
        }
        let Some(attributes) = field(wanted, "attributes") else { return Ok(()) };
        let Value::Object(attributes) = attributes else { return Err(Refusal::body("attributes is an object")) };
        for (&name, value) in self.kind.attributes().iter().zip(&mut self.values) {
            if let Some(wanted) = field(attributes, name) {
                *value = whole(wanted).ok_or_else(|| {
                    Refusal::body(&format!("{name} of {} is a whole number from 0 up", self.kind.name()))
                })?;
            }
        }
        Ok(())
    }

    /// As it is told.
    pub(super) fn told(&self) -> Value {
        let attributes: Map<String, Value> = self
            .kind
            .attributes()
            .iter()
            .zip(self.values)
            .map(|(name, value)| ((*name).to_owned(), value.into()))
            .collect();
        // A whole number has no point.
        let toxicity = match self.toxicity {
            0.0 => json!(0),
            1.0 => json!(1),
            other => json!(other),
        };
        json!({
            "attributes": attributes,
            "name": self.name,
            "type": self.kind.name(),
            "stream": stream_of(self.side),
            "toxicity": toxicity,
        })
    }

    /// What it does to a stream.
    pub(super) fn fault(&self) -> LiveFault {
        let [first, second, third] = self.values;
        let milliseconds = Duration::from_millis;
        let mut faults = Faults::default();
        match self.kind {
            Kind::Latency => {
                let (mean, spread) = (milliseconds(first), milliseconds(second));
                faults.delay = Some(Delay { mean, spread, shape: Shape::Even });
            }
            Kind::Bandwidth => faults.rate = Some(first.saturating_mul(KILOBYTE)),
            Kind::SlowClose => faults.slow_close = Some(milliseconds(first)),
            Kind::Timeout => faults.swallow = Some(milliseconds(first)),
            Kind::ResetPeer => faults.reset_when_used = Some(milliseconds(first)),
            Kind::Slicer => {
                let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
                let (least, most) = (size(first.saturating_sub(second)), size(first.saturating_add(second)));
                faults.slice = Some(Slice::new(least, most, Duration::from_micros(third)));
            }
            Kind::LimitData => faults.cut_after = Some(After::Bytes(first)),
        }
        LiveFault { id: self.id, version: self.version, side: self.side, share: self.toxicity, faults }
    }
}

fn stream_of(side: Side) -> &'static str {
    match side {
        Side::Client => "upstream",
        Side::Server => "downstream",
    }
}

/// A field, whatever its capitals; null is as if it were not there.
pub(super) fn field<'v>(fields: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let found = fields.get(name).or_else(|| {
        let mut others = fields.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        others.next_back().map(|(_, value)| value)
    });
    found.filter(|value| !value.is_null())
}

/// A field that is text.
pub(super) fn text<'v>(fields: &'v Map<String, Value>, name: &str) -> Result<Option<&'v str>, Refusal> {
    match field(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::body(&format!("{name} is a string"))),
    }
}

/// A number without a part behind the point; some clients write one.
fn whole(value: &Value) -> Option<u64> {
    let number = value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=LARGEST as f64).contains(float))?;
        Some(float as u64)
    })?;
    (number <= LARGEST).then_some(number)
}
