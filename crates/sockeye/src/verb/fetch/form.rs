//! A form as pages send it with files (multipart/form-data, RFC 7578; the escapes are those of the HTML standard,
//! "multipart form data").

use std::io;
use std::path::Path;

use super::Body;

/// A form that is being filled in.
#[derive(Debug)]
pub struct Form {
    boundary: String,
    body: Body,
}

impl Default for Form {
    fn default() -> Self {
        Self::new()
    }
}

impl Form {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        // Nobody who chooses a value can guess what would end it.
        let boundary = format!("sockeye-{:016x}{:016x}", random(), random());
        let body = Body::new(&format!("multipart/form-data; boundary={boundary}"));
        Self { boundary, body }
    }

    /// Adds a value.
    #[must_use]
    pub fn text(self, name: &str, value: &[u8]) -> Self {
        let head = self.head(name, "");
        Self { body: self.body.with(head).with(value).with("\r\n"), ..self }
    }

    /// Adds a file under the last part of its path.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn file(self, name: &str, path: &Path, content_type: &str) -> io::Result<Self> {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let more = format!("; filename=\"{}\"\r\nContent-Type: {content_type}", escaped(&file_name));
        let head = self.head(name, &more);
        Ok(Self { body: self.body.with(head).with_file(path)?.with("\r\n"), ..self })
    }

    /// What is sent.
    #[must_use]
    pub fn finish(self) -> Body {
        self.body.with(format!("--{}--\r\n", self.boundary))
    }

    fn head(&self, name: &str, more: &str) -> String {
        let name = escaped(name);
        format!("--{}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n", self.boundary)
    }
}

fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
