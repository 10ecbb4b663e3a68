//! What a server gives up once all that it needs is open.

use std::path::{Path, PathBuf};

use sockeye::address::Target;
use sockeye::sandbox::{Held, Sandbox};
use sockeye::verb::serve::{Options, Role};

use crate::exit::Exit;
use crate::flags::Serve;
use crate::output::Console;

/// Gives up what this server does not need. A program that it runs may need anything: then nothing is.
pub(super) fn enter(flags: &Serve, options: &Options, console: &Console) -> Result<(), Exit> {
    let say = |words: &str| {
        if console.verbose > 0 {
            console.note(words);
        }
    };
    if flags.no_sandbox {
        say("no sandbox (--no-sandbox)");
        return Ok(());
    }
    if matches!(options.role, Role::Exec(_)) {
        say("no sandbox: a program may need anything");
        return Ok(());
    }
    let sandbox = needed(flags, options);
    let held = sandbox
        .enter()
        .map_err(|error| console.fail(Exit::CannotListen, &format!("{error}; --no-sandbox serves without one")))?;
    match held {
        Held::Landlock(version) => {
            let list = |folders: &[PathBuf]| {
                let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
                if folders.is_empty() { "nothing".to_owned() } else { folders.join(", ") }
            };
            let net = if version >= 4 { "no other TCP socket; " } else { "" };
            say(&format!(
                "sandbox: reads {}, writes {}; {net}no new privileges (Landlock {version}, tried and held)",
                list(&[&sandbox.reads[..], &sandbox.writes[..]].concat()),
                list(&sandbox.writes)
            ));
        }
        Held::NoNewPrivileges => {
            say("sandbox: no new privileges; this kernel has no Landlock, so that files are not kept")
        }
    }
    Ok(())
}

/// What is opened later.
fn needed(flags: &Serve, options: &Options) -> Sandbox {
    let mut sandbox = Sandbox::default();
    if let Role::Files(files) = &options.role {
        let folder = files.folder.clone();
        if flags.web.follow_links {
            sandbox.reads.push("/".into());
        }
        if flags.web.upload { &mut sandbox.writes } else { &mut sandbox.reads }.push(folder);
    }
    // A site is built anew beside the old one and takes its name, an editor puts another file there, and `file:` lines name
    // others: the rules of the kernel are about folders that are there now, so that it is the one around.
    for path in flags.play.iter().chain(&flags.web.files).filter(|path| path.file_name().is_some()) {
        sandbox.reads.push(folder_of(path));
        if let Ok(target) = path.canonicalize() {
            sandbox.reads.push(folder_of(&target));
        }
    }
    for address in &options.addresses {
        if let Target::Unix(path) = &address.target {
            sandbox.removes.push(folder_of(path));
        }
    }
    sandbox.reads.sort();
    sandbox.reads.dedup();
    // A pipe has no folder, and is not read again.
    sandbox.reads.retain(|folder| folder.is_dir());
    sandbox.removes.retain(|folder| folder.is_dir());
    sandbox
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => ".".into(),
        Some(folder) => folder.to_owned(),
        None => "/".into(),
    }
}
