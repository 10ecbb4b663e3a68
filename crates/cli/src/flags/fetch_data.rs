//! What `fetch` is to send as a form's text. It goes in the order in which it was typed, whichever flag it was typed behind.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [HOST] is a placeholder")]

use clap::{ArgMatches, Args, Command, FromArgMatches};

/// Flags that have a body of their own.
const OTHER_BODIES: [&str; 3] = ["data_json", "upload_file", "form"];

#[derive(Debug, Args)]
struct Typed {
    /// Send this, or what is in a file, byte by byte; @- is standard input. Several are joined by &, in the order in which they
    /// were typed
    #[arg(short, long, visible_alias = "data-binary", value_name = "TEXT|@FILE", conflicts_with_all = OTHER_BODIES)]
    data: Vec<String>,
    /// The same without the line endings and zero bytes of a file: curl's -d @FILE
    #[arg(long, value_name = "TEXT|@FILE", conflicts_with_all = OTHER_BODIES)]
    data_ascii: Vec<String>,
    /// The same, and @ means nothing
    #[arg(long, value_name = "TEXT", conflicts_with_all = OTHER_BODIES)]
    data_raw: Vec<String>,
    /// The same, encoded for a form: TEXT, =TEXT, NAME=TEXT, @FILE or NAME@FILE
    #[arg(long, value_name = "NAME=TEXT", conflicts_with_all = OTHER_BODIES)]
    data_urlencode: Vec<String>,
    /// Put what these flags say into the query of the URL, and send no body
    #[arg(short = 'G', long, conflicts_with_all = OTHER_BODIES)]
    get: bool,
}

/// All of it, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    pub(crate) parts: Vec<Datum>,
    /// Whether it goes into the query.
    pub(crate) get: bool,
}

/// One value, and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Datum {
    /// Text, or the bytes of a file.
    Plain(String),
    /// Text, or a file without its line endings.
    Lines(String),
    Raw(String),
    Encoded(String),
}

impl Datum {
    /// Whether it is what comes from standard input.
    pub(crate) fn is_stdin(&self) -> bool {
        match self {
            Self::Plain(text) | Self::Lines(text) => text == "@-",
            Self::Raw(_) => false,
            Self::Encoded(text) => text.split_once('@').is_some_and(|(name, path)| !name.contains('=') && path == "-"),
        }
    }
}

impl Data {
    /// Whether there is a body of it.
    pub(crate) fn is_body(&self) -> bool {
        !self.get && !self.parts.is_empty()
    }
}

impl Args for Data {
    fn augment_args(command: Command) -> Command {
        Typed::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Typed::augment_args_for_update(command)
    }
}

/// How a value is meant, by its flag.
type Meaning = fn(String) -> Datum;

const FLAGS: [(&str, Meaning); 4] = [
    ("data", Datum::Plain),
    ("data_ascii", Datum::Lines),
    ("data_raw", Datum::Raw),
    ("data_urlencode", Datum::Encoded),
];

impl FromArgMatches for Data {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut all: Vec<(usize, Datum)> = Vec::new();
        for (id, meaning) in FLAGS {
            let places = matches.indices_of(id).into_iter().flatten();
            let values = matches.get_many::<String>(id).into_iter().flatten();
            all.extend(places.zip(values).map(|(place, value)| (place, meaning(value.clone()))));
        }
        all.sort_by_key(|(place, _)| *place);
        Ok(Self { parts: all.into_iter().map(|(_, datum)| datum).collect(), get: matches.get_flag("get") })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
