//! Reading a transcript that was named on the command line.

use std::io::Read;
use std::path::Path;

use transcript::Transcript;

use crate::exit::Exit;
use crate::flags::Values;
use crate::output::Console;

/// Reads and parses a transcript; what is wrong with it has been said if there is none.
pub(super) fn read(path: &Path, values: &Values, console: &Console) -> Result<Transcript, Exit> {
    let cannot = |error: std::io::Error| {
        console.fail(Exit::Usage, &format!("cannot read the transcript {}: {error}", path.display()))
    };
    let mut text = Vec::new();
    // One byte more than the bound tells a file that is too large from one that just fits.
    std::fs::File::open(path)
        .and_then(|file| file.take(sockeye::limits::TRANSCRIPT + 1).read_to_end(&mut text))
        .map_err(cannot)?;
    let given: Vec<&str> = values.set.iter().map(|(name, _)| name.as_str()).collect();
    Transcript::parse(&path.display().to_string(), &text, &given)
        .map_err(|refused| console.fail(Exit::Usage, &refused.to_string()))
}
