//! The file of --cookie-jar.

use std::path::Path;

use sockeye::verb::fetch::Jar;

use crate::exit::Exit;
use crate::output::Console;

/// Reads what an earlier run, or another program, has kept.
pub(super) fn open(path: &Path, console: &Console) -> Result<Jar, Exit> {
    let (jar, unreadable_lines) = Jar::open(path).map_err(|error| {
        console.fail(Exit::CannotRead, &format!("cannot read the cookies in {}: {error}", path.display()))
    })?;
    if unreadable_lines > 0 {
        let shown = path.display();
        console.warn(&format!("{shown}: {unreadable_lines} lines are no cookies, and are left out when it is written"));
    }
    Ok(jar)
}

/// Writes all there are.
pub(super) fn keep(jar: &Jar, path: &Path, console: &Console) -> Result<(), Exit> {
    jar.store(path).map_err(|error| console.fail(Exit::CannotWrite, &format!("the cookies are not kept: {error}")))
}
