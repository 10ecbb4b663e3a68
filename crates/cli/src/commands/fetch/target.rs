//! Where a body goes, as the flags say.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use sockeye::verb::fetch::download::Target;

use super::Failure;
use crate::exit::Exit;
use crate::flags::Fetch;

/// Where the body of one of several URLs goes; `name` is the one made from it.
pub(super) fn choose(flags: &Fetch, index: usize, name: &str) -> Result<Target, Failure> {
    let is_device = flags.output_of(index).is_some_and(is_device);
    if flags.needs_file() && (is_device || flags.head || flags.body_to_stdout()) {
        let why = "--resume, --sha256, --remote-time, --if-newer, --etag and --skip-existing are for a file, and none is written";
        return Err((Exit::Usage, why.to_owned()));
    }
    if flags.body_to_stdout() {
        return Ok(Target::Output);
    }
    if flags.head {
        return Ok(Target::Nowhere);
    }
    let path = flags.path_of(index, name);
    if let (Some(folder), None) = (&flags.dir, flags.output_of(index)) {
        let cannot = |error| (Exit::CannotWrite, format!("cannot make the folder {}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    if is_device {
        return Ok(Target::Device(path));
    }
    let replace = flags.output_of(index).is_some() || flags.force || flags.if_newer || flags.etag.is_some();
    Ok(if flags.resume { Target::Resumable { path, replace } } else { Target::File { path, replace } })
}

fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| {
        let kind = found.file_type();
        kind.is_char_device() || kind.is_fifo()
    })
}
