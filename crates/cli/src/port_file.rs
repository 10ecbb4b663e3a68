//! `--port-file`: the ports, one a line, there only when everything is bound.

use std::path::Path;

use sockeye::file::AtomicFile;

use crate::exit::Exit;
use crate::output::Console;

/// Writes the ports.
pub(crate) fn write(path: &Path, ports: &[u16], console: &Console) -> Result<(), Exit> {
    let lines: String = ports.iter().map(|port| format!("{port}\n")).collect();
    AtomicFile::create(path)
        .and_then(|mut file| {
            file.append(lines.as_bytes())?;
            file.commit()
        })
        .map_err(|error| console.fail(Exit::CannotWrite, &format!("--port-file: {error}")))
}
