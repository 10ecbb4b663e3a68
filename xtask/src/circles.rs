//! Modules that import each other, found in the text of the crates: such ones cannot be read, tested or changed one by
//! one. A module and those below it count as one beside its neighbours; a module and its parent may know each other. And imports
//! against the arrows of ARCHITECTURE.md, and errors of the libraries that are only text.

mod source;
mod text_errors;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use source::{Crate, Import};

/// Circles that are left from before: the crate, the module in which they stand, and who is in them. There is none any more, and
/// none comes in.
const KNOWN: &[(&str, &str, &[&str])] = &[];

/// What a part of the `sockeye` crate does not know: who opens sockets for it, and who uses it.
const ARROWS: &[(&str, &[&str])] = &[
    ("sys", &["wire", "web", "engine", "verb"]),
    ("wire", &["sys", "net", "web", "engine", "verb"]),
    ("net", &["web", "engine", "verb"]),
    ("web", &["net", "engine", "verb"]),
    ("faults", &["sys", "net", "web", "engine", "verb"]),
    ("engine", &["verb", "mock", "check"]),
    // nc(1) has no transcripts.
    ("verb::nc", &["engine"]),
];
/// In which each module stands alone.
const APART: &str = "verb";

/// A module by the names on the way to it; empty for the crate itself.
type ModulePath = Vec<String>;

/// One import that crosses from a module to its neighbour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crossing {
    from: String,
    to: String,
    /// The first file and line that has it.
    place: String,
}

/// Modules of one parent that reach each other by their imports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Circle {
    parent: String,
    members: Vec<String>,
    crossings: Vec<Crossing>,
}

/// Looks at every crate of the workspace.
pub(crate) fn check() -> Result<(), String> {
    let mut wrong = String::new();
    for name in ["transcript", "sockeye", "cli"] {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates")).join(name).join("src");
        let files = source::files(&folder)?;
        // A program may give up with a sentence; who uses a library has to know what went wrong.
        if name != "cli" {
            for (place, error) in text_errors::found(&files) {
                wrong.push_str(&format!("{name}: an error is {error}: give it a type with kinds: {place}\n"));
            }
        }
        let krate = Crate::of(files);
        if name == "sockeye" {
            for (from, to, place) in against_arrows(&krate) {
                wrong.push_str(&format!("{name}: {from} must not know {to}: {place}\n"));
            }
        }
        let circles = circles(&krate);
        let known: Vec<_> = KNOWN.iter().filter(|(krate, ..)| *krate == name).collect();
        for circle in &circles {
            let is_known =
                known.iter().any(|(_, parent, members)| circle.parent == *parent && circle.members == *members);
            if !is_known {
                wrong.push_str(&told(name, circle));
            }
        }
        for (_, parent, members) in known {
            if !circles.iter().any(|circle| circle.parent == *parent && circle.members == *members) {
                wrong.push_str(&format!(
                    "{name}: the circle {members:?} in `{parent}` is gone or another: correct KNOWN\n"
                ));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Imports that go against an arrow: from where, of what, and the file and line.
fn against_arrows(krate: &Crate) -> Vec<(String, String, String)> {
    let is_in = |module: &str, parent: &str| {
        module.strip_prefix(parent).is_some_and(|below| below.is_empty() || below.starts_with("::"))
    };
    let mut found = Vec::new();
    for (module, Import { path, place }) in krate.imports() {
        let target = krate.module_of(&path);
        let [from, to] = [module.join("::"), target.join("::")];
        let is_denied =
            |(of, denied): &(&str, &[&str])| is_in(&from, of) && denied.iter().any(|denied| is_in(&to, denied));
        let is_neighbour = matches!((&module[..], &target[..]), ([a, from, ..], [b, to, ..]) if a == APART && b == APART && from != to);
        if is_neighbour || ARROWS.iter().any(is_denied) {
            found.push((from, to, place));
        }
    }
    found
}

fn told(krate: &str, circle: &Circle) -> String {
    let parent = if circle.parent.is_empty() { "the crate" } else { &circle.parent };
    let mut text = format!("{krate}: in {parent}, {} import each other:\n", circle.members.join(", "));
    for Crossing { from, to, place } in &circle.crossings {
        text.push_str(&format!("  {from} → {to}: {place}\n"));
    }
    text
}

/// Every circle of a crate, at each level of its modules.
fn circles(krate: &Crate) -> Vec<Circle> {
    let mut levels: BTreeMap<ModulePath, BTreeMap<(String, String), String>> = BTreeMap::new();
    for (module, Import { path, place }) in krate.imports() {
        let target = krate.module_of(&path);
        let common = module.iter().zip(&target).take_while(|(a, b)| a == b).count();
        // What a module takes from its parent, or from one below it, crosses nothing.
        let (Some(from), Some(to)) = (module.get(common), target.get(common)) else { continue };
        let level = levels.entry(module[..common].to_vec()).or_default();
        level.entry((from.clone(), to.clone())).or_insert(place);
    }
    let mut found = Vec::new();
    for (parent, crossings) in levels {
        let reach = reach(crossings.keys());
        let mut seen = BTreeSet::new();
        for name in reach.keys() {
            let members: Vec<String> = reach[name]
                .iter()
                .filter(|other| reach.get(*other).is_some_and(|back| back.contains(name)))
                .cloned()
                .collect();
            if members.is_empty() || !seen.insert(members.clone()) {
                continue;
            }
            let inside = |(from, to): &(String, String)| members.contains(from) && members.contains(to);
            let crossings = crossings.iter().filter(|(edge, _)| inside(edge)).map(|((from, to), place)| Crossing {
                from: from.clone(),
                to: to.clone(),
                place: place.clone(),
            });
            found.push(Circle { parent: parent.join("::"), crossings: crossings.collect(), members });
        }
    }
    found
}

/// The modules that each module reaches, over any number of imports.
fn reach<'a>(edges: impl Iterator<Item = &'a (String, String)>) -> BTreeMap<String, BTreeSet<String>> {
    let mut reach: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in edges {
        reach.entry(from.clone()).or_default().insert(to.clone());
    }
    loop {
        let mut more = false;
        for name in reach.keys().cloned().collect::<Vec<_>>() {
            let further: BTreeSet<String> =
                reach[&name].iter().filter_map(|next| reach.get(next)).flatten().cloned().collect();
            let own = reach.entry(name).or_default();
            let before = own.len();
            own.extend(further);
            more |= own.len() > before;
        }
        if !more {
            return reach;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
        let krate = Crate::of(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        circles(&krate).into_iter().map(|circle| (circle.parent, circle.members)).collect()
    }

    fn circle(parent: &str, members: &[&str]) -> (String, Vec<String>) {
        (parent.to_owned(), members.iter().map(|member| (*member).to_owned()).collect())
    }

    #[test]
    fn no_modules_import_each_other_but_those_that_are_known_to_and_no_error_is_only_text() {
        if let Err(wrong) = check() {
            panic!("{wrong}");
        }
    }

    #[test]
    fn two_modules_or_more_that_import_each_other_are_a_circle() {
        let two = [("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "use super::a::{self, A};")];
        assert_eq!(found(&two), [circle("", &["a", "b"])]);
        let three = [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::{c::C, d};"),
            ("c.rs", "fn f() -> crate::a::A {}"),
            ("d.rs", ""),
        ];
        assert_eq!(found(&three), [circle("", &["a", "b", "c"])]);
        let none = [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use std::a::A; // crate::a\n const S: &str = \"crate::a\";"),
        ];
        assert_eq!(found(&none), []);
    }

    #[test]
    fn what_stands_below_a_module_is_part_of_it_beside_its_neighbours() {
        let below = [("a/mod.rs", "mod c;"), ("a/c.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")];
        assert_eq!(found(&below), [circle("", &["a", "b"])]);
        let inside = [("a.rs", "mod b; mod c;"), ("a/b.rs", "use super::c::C;"), ("a/c.rs", "use crate::a::b::B;")];
        assert_eq!(found(&inside), [circle("a", &["b", "c"])]);
        let parent = [("a.rs", "mod b; use b::B; struct A;"), ("a/b.rs", "use super::A;")];
        assert_eq!(found(&parent), []);
    }

    #[test]
    fn a_name_that_is_passed_on_belongs_to_where_it_is_from() {
        let root = [("lib.rs", "mod a; mod b; pub use a::A;"), ("a.rs", "use crate::b::B;"), ("b.rs", "use crate::A;")];
        assert_eq!(found(&root), [circle("", &["a", "b"])]);
        let parent = [
            ("p.rs", "mod a; mod b; pub(crate) use b::{B as C};"),
            ("p/a.rs", "use super::C;"),
            ("p/b.rs", "use super::a::A;"),
        ];
        assert_eq!(found(&parent), [circle("p", &["a", "b"])]);
    }

    #[test]
    fn an_import_against_an_arrow_is_found_and_one_along_it_is_not() {
        let against = |files: &[(&str, &str)]| -> Vec<(String, String)> {
            let krate = Crate::of(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
            against_arrows(&krate).into_iter().map(|(from, to, _)| (from, to)).collect()
        };
        let files = |wire, engine, serve| {
            [
                ("wire/http/head.rs", wire),
                ("net/tls.rs", ""),
                ("engine/mod.rs", engine),
                ("verb/serve.rs", serve),
                ("verb/nc.rs", ""),
                ("verb/talk/mod.rs", ""),
            ]
        };
        let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(against(&files("", "use crate::net::tls::A;", "use crate::engine::B;")), []);
        assert_eq!(against(&files("use crate::net::tls::A;", "", "")), [edge("wire::http::head", "net::tls")]);
        assert_eq!(against(&files("", "use crate::verb::serve::A;", "")), [edge("engine", "verb::serve")]);
        assert_eq!(against(&files("", "", "use super::talk::A;")), [edge("verb::serve", "verb::talk")]);
        let nc =
            [("engine/mod.rs", ""), ("verb/nc.rs", "use crate::engine::A;"), ("verb/nct.rs", "use crate::engine::A;")];
        assert_eq!(against(&nc), [edge("verb::nc", "engine")]);
    }

    #[test]
    fn tests_may_import_what_they_like() {
        let tests = [
            ("a.rs", "use crate::b::B;\n#[cfg(test)]\nmod tests {\n    fn f() { if true {} }\n}\n"),
            ("b.rs", "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n#[cfg(test)]\nmod more;\nstruct B;\n"),
            ("b/tests.rs", "use crate::a::A;"),
            ("b/more.rs", ""),
        ];
        assert_eq!(found(&tests), []);
    }
}
