//! The file of --cookie-jar.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sockeye::file::AtomicFile;
use sockeye::verb::fetch::Jar;

use crate::exit::Exit;
use crate::output::Console;

/// Reads what an earlier run, or another program, has kept. None is there the first time.
pub(super) fn open(path: &Path, console: &Console) -> Result<Jar, Exit> {
    let jar = Jar::default();
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(jar),
        Err(error) => {
            return Err(
                console.fail(Exit::CannotRead, &format!("cannot read the cookies in {}: {error}", path.display()))
            );
        }
    };
    let odd = jar.read(&text);
    if odd > 0 {
        console.warn(&format!("{}: {odd} lines are no cookies, and are left out when it is written", path.display()));
    }
    Ok(jar)
}

/// Writes all there are, for no other user to read: a user who has them is who they are for.
pub(super) fn keep(jar: &Jar, path: &Path, console: &Console) -> Result<(), Exit> {
    let is_new = !path.exists();
    let written = AtomicFile::create(path).and_then(|mut file| {
        file.append(jar.written().as_bytes())?;
        file.commit()
    });
    written.map_err(|error| console.fail(Exit::CannotWrite, &format!("the cookies are not kept: {error}")))?;
    if is_new {
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    }
    Ok(())
}
