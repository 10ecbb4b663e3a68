//! A form as pages send it with files (multipart/form-data, RFC 7578; the escapes are those of the HTML standard,
//! "multipart form data").

use std::io;
use std::path::Path;

use super::Body;
use crate::file::random;

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
        // A value cannot be chosen so that it ends it: it cannot be guessed.
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
        let head = self.head_of_file(name, &file_name, content_type);
        Ok(Self { body: self.body.with(head).with_file(path)?.with("\r\n"), ..self })
    }

    /// Adds bytes as a file of this name.
    #[must_use]
    pub fn bytes(self, name: &str, file_name: &str, bytes: Vec<u8>, content_type: &str) -> Self {
        let head = self.head_of_file(name, file_name, content_type);
        Self { body: self.body.with(head).with(bytes).with("\r\n"), ..self }
    }

    /// What is sent.
    #[must_use]
    pub fn finish(self) -> Body {
        self.body.with(format!("--{}--\r\n", self.boundary))
    }

    fn head_of_file(&self, name: &str, file_name: &str, content_type: &str) -> String {
        self.head(name, &format!("; filename=\"{}\"\r\nContent-Type: {content_type}", escaped(file_name)))
    }

    fn head(&self, name: &str, more: &str) -> String {
        let name = escaped(name);
        format!("--{}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n", self.boundary)
    }
}

fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
