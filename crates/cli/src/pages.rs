//! Manual pages and completions, from the same definition as help.

use std::path::Path;

use clap::CommandFactory;

use crate::exit::Exit;
use crate::flags::Flags;
use crate::output::Console;

/// Writes a completion script to standard output.
pub(crate) fn completions(shell: clap_complete::Shell, console: &Console) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Flags::command(), "sockeye", &mut script);
    console.print(&script)
}

/// Writes every page into a folder, or the main page to standard output.
pub(crate) fn man(folder: Option<&Path>, console: &Console) -> Exit {
    let mut command = Flags::command();
    command.build();
    let Some(folder) = folder else {
        let mut page = Vec::new();
        return match clap_mangen::Man::new(command).render(&mut page) {
            Ok(()) => console.print(&page),
            Err(error) => console.fail(Exit::CannotWrite, &error.to_string()),
        };
    };
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    match written {
        Ok(()) => Exit::Done,
        Err(error) => console.fail(Exit::CannotWrite, &format!("cannot write to {}: {error}", folder.display())),
    }
}
