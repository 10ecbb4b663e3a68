//! Where a body goes, as the flags say.

use sockeye::verb::fetch::download::{Target, TransferError};

use super::input::usage;
use crate::flags::Fetch;

/// Where the body of one of several URLs goes; `name` is the one made from it.
pub(super) fn choose(flags: &Fetch, index: usize, name: &str) -> Result<Target, TransferError> {
    let target = if flags.body_to_stdout() {
        Target::Output
    } else if flags.head {
        Target::Nowhere
    } else {
        let replace = flags.output_of(index).is_some() || flags.force || flags.if_newer || flags.etag.is_some();
        Target::at(flags.path_of(index, name), replace)
    };
    match target {
        Target::File { path, replace } if flags.resume => Ok(Target::Resumable { path, replace }),
        Target::File { .. } => Ok(target),
        _ if flags.needs_file() => Err(usage(
            "--resume, --sha256, --remote-time, --if-newer, --etag and --skip-existing are for a file, and none is written",
        )),
        _ => Ok(target),
    }
}
