//! Manual pages and completions, from the same definition as help.

mod reference;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap_mangen::Man;
use sockeye::file::AtomicFile;

use crate::exit::Exit;
use crate::flags;
use crate::output::Console;

/// Writes a completion script to standard output.
pub(crate) fn completions(shell: clap_complete::Shell, console: &Console) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut flags::command(), "sockeye", &mut script);
    console.print(&script)
}

/// Writes every page into a folder, or the main page to standard output.
pub(crate) fn man(folder: Option<&Path>, console: &Console) -> Exit {
    let pages = match pages() {
        Ok(pages) => pages,
        Err(error) => {
            return console.fail(
                Exit::CannotWrite,
                &format!("cannot make the manual pages: {error}", error = sockeye::net::words(&error)),
            );
        }
    };
    let Some(folder) = folder else {
        return pages.first().map_or(Exit::Done, |(_, page)| console.print(page));
    };
    for (name, page) in &pages {
        let folder = &folder_of(name, folder);
        if let Err(error) = std::fs::create_dir_all(folder) {
            return console.fail(
                Exit::CannotWrite,
                &format!("cannot make the folder {}: {error}", folder.display(), error = sockeye::net::words(&error)),
            );
        }
        let written = AtomicFile::create(&folder.join(name)).and_then(|mut file| {
            file.append(page)?;
            file.commit()
        });
        if let Err(error) = written {
            return console.fail(Exit::CannotWrite, &error.to_string());
        }
    }
    Exit::Done
}

/// Where man(1) looks for a page: below a folder `man1` are those of section 1, and beside it, in `man5`, those of section 5. Any
/// other folder has all of them.
fn folder_of(name: &str, folder: &Path) -> PathBuf {
    match (folder.file_name(), name.rsplit_once('.')) {
        (Some(own), Some((_, section))) if own == "man1" => folder.with_file_name(format!("man{section}")),
        _ => folder.to_owned(),
    }
}

const SEE_ALSO: &str =
    "sockeye(1): addresses, exit codes and bounds\nsockeye-transcript(5): the language of transcripts";

/// Every page with its file name, the main one first.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = flags::command();
    command.build();
    let mut pages = vec![("sockeye.1".to_owned(), main_page(&command)?)];
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let man = Man::new(verb.clone());
        let mut page = Vec::new();
        man.render(&mut page)?;
        section(&mut page, "SEE ALSO", SEE_ALSO)?;
        pages.push((man.get_filename(), page));
    }
    pages.push((reference::NAME.to_owned(), reference::page()));
    Ok(pages)
}

fn main_page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    section(&mut page, "EXAMPLES", flags::EXAMPLES)?;
    section(&mut page, "ADDRESSES", &folded(flags::ADDRESSES))?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    section(&mut page, "EXIT STATUS", &Exit::table())?;
    section(&mut page, "BOUNDS", &folded(&flags::bounds()))?;
    section(&mut page, "SEE ALSO", "sockeye-transcript(5): the language of transcripts")?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// Columns of a line that stays as it is: a terminal has 80, and man(1) keeps 7 of them free on the left.
const COLUMNS: usize = 73;

/// Text in lines that fit a terminal. What goes on behind an indented line stands further in than it.
fn folded(text: &str) -> String {
    let mut folded = String::new();
    for line in text.lines() {
        let margin = line.len() - line.trim_start().len();
        let further = if margin > 0 { margin + 2 } else { 0 };
        let (mut column, mut is_first) = (margin, true);
        folded += &" ".repeat(margin);
        for word in line.split_whitespace() {
            let width = word.chars().count();
            if !is_first && column + 1 + width > COLUMNS {
                folded.push('\n');
                folded += &" ".repeat(further);
                column = further;
            } else if !is_first {
                folded.push(' ');
                column += 1;
            }
            folded += word;
            column += width;
            is_first = false;
        }
        folded.push('\n');
    }
    folded
}

/// A section whose lines stay as they are. In roff a backslash is a command, `-` may become a hyphen that a reader cannot
/// paste, and a line must not begin with `.` or `'` (groff(7)).
fn section(page: &mut Vec<u8>, title: &str, text: &str) -> io::Result<()> {
    writeln!(page, ".SH \"{title}\"\n.nf")?;
    for line in text.lines() {
        let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        let guard = if line.starts_with('.') { "\\&" } else { "" };
        writeln!(page, "{guard}{line}")?;
    }
    writeln!(page, ".fi")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        pages().unwrap().into_iter().map(|(_, page)| String::from_utf8(page).unwrap()).collect()
    }

    /// Every verb, and every flag with the verb that has it.
    fn flags() -> Vec<(String, String)> {
        let mut command = flags::command();
        command.build();
        let verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help");
        verbs
            .flat_map(|verb| {
                let name = verb.get_name().to_owned();
                verb.get_arguments().map(move |flag| (name.clone(), flag.clone()))
            })
            .filter_map(|(verb, flag)| {
                let long = flag.get_long().map(|long| format!("--{long}"));
                let spelled = long.or_else(|| flag.get_short().map(|short| format!("-{short}")))?;
                (!matches!(spelled.as_str(), "--help" | "--version")).then_some((verb, spelled))
            })
            .collect()
    }

    #[test]
    fn every_verb_has_a_page() {
        let mut names: Vec<String> = pages().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.pop().unwrap(), "sockeye-transcript.5");
        assert_eq!(
            names,
            [
                "",
                "-serve",
                "-talk",
                "-relay",
                "-fetch",
                "-load",
                "-check",
                "-import",
                "-report",
                "-ports",
                "-addrs",
                "-nc",
                "-completions",
                "-man"
            ]
            .map(|verb| format!("sockeye{verb}.1"))
        );
    }

    #[test]
    fn the_manual_has_every_flag_every_exit_code_and_every_bound() {
        let text = text().replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\");
        for (verb, flag) in flags() {
            assert!(text.contains(&flag), "{verb} {flag}");
        }
        for exit in Exit::ALL {
            assert!(text.contains(&format!("{:>3}  {}\n", exit.code(), exit.meaning())), "{exit:?}");
        }
        assert!(text.contains(flags::EXAMPLES), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for limit in sockeye::limits::TABLE {
            assert!(words.contains(limit.what), "{limit:?}");
        }
        assert!(words.contains(flags::ADDRESSES), "{text}");
    }

    #[test]
    fn addresses_and_bounds_of_the_manual_fit_a_terminal() {
        for (name, page) in pages().unwrap() {
            let page = String::from_utf8(page).unwrap().replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\");
            for title in ["ADDRESSES", "BOUNDS"] {
                let section = page.split(&format!(".SH \"{title}\"\n.nf\n")).nth(1);
                for line in section.and_then(|section| section.split(".fi").next()).into_iter().flat_map(str::lines) {
                    assert!(line.chars().count() <= COLUMNS, "{name}, {title}: {line}");
                }
            }
        }
        assert_eq!(folded("  one of two\nthree\n"), "  one of two\nthree\n");
        let long = "word ".repeat(20);
        assert_eq!(
            folded(&format!("  {long}\n")).lines().nth(1),
            Some(&*format!("    {}", "word ".repeat(6).trim_end()))
        );
    }

    #[test]
    fn the_readme_shows_the_greeting_that_is_compiled_in() {
        let greeting = include_str!("../../../transcripts/greeting.talk");
        assert!(include_str!("../../../README.md").contains(&format!("```\n{greeting}```\n")));
    }
}
