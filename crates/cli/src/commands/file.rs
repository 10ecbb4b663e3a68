//! Reading transcripts that were named on the command line.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use sockeye::folder::Folder;
use sockeye::verb::serve::Sheet;
use transcript::Transcript;

use crate::exit::Exit;
use crate::output::Console;

/// Reads and parses a transcript; what is wrong with it has been said if there is none. `given` are the names that get
/// their values from outside.
pub(super) fn read(path: &Path, given: &[&str], console: &Console) -> Result<Transcript, Exit> {
    load(path, given).map_err(|why| console.fail(Exit::Usage, &why))
}

/// The same with the folder that its files are looked for in.
pub(super) fn sheet(path: &Path, given: &[&str]) -> Result<Sheet, String> {
    let transcript = load(path, given)?;
    let folder =
        Folder::around(path).map_err(|error| format!("cannot open the folder of {}: {error}", path.display()))?;
    Ok(Sheet { transcript, files: Some(Arc::new(folder)) })
}

/// Reads and parses a transcript, or says why it cannot be had.
pub(super) fn load(path: &Path, given: &[&str]) -> Result<Transcript, String> {
    let text = text(path).map_err(|error| format!("cannot read the transcript {}: {error}", path.display()))?;
    Transcript::parse(&path.display().to_string(), &text, given).map_err(|refused| refused.to_string())
}

/// The bytes of a transcript.
pub(super) fn text(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // One byte more than the bound tells a file that is too large from one that just fits.
    std::fs::File::open(path)?.take(sockeye::limits::TRANSCRIPT + 1).read_to_end(&mut text)?;
    Ok(text)
}
