//! Branches that neither end takes by itself: many of them in one play.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;

use transcript::rehearse::{left_of, rehearse};
use transcript::{Carrier, PlayOptions, Script, Side, Transcript};

/// How many plays it takes, and which branches are left to be played one by one, as `check --all-branches` does.
fn plays(text: &str) -> (usize, Vec<usize>) {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}"));
    let play = |branches: &[usize]| {
        let script = |side| {
            let mut options = PlayOptions::new(side, Carrier::Stream);
            options.branches = branches.to_vec();
            Script::prepare(&transcript, &options)
        };
        let (client, server) = (script(Side::Client).ok()?, script(Side::Server).ok()?);
        let rehearsal = rehearse(&client, &server, |all| all);
        rehearsal.is_success().then_some(rehearsal.unplayed)
    };
    let unplayed = play(&[]).expect("it agrees");
    let mut count = 0;
    let left = left_of(&unplayed, &mut |lines| {
        count += 1;
        play(lines)
    });
    // One by one each of those that went together can be played as well, and each that is left cannot be.
    for line in unplayed.into_iter().take(50).filter(|_| text.len() < 2000) {
        let is_played = play(&[line]).is_some_and(|unplayed| !unplayed.contains(&line));
        assert!(is_played || left.contains(&line), "{line}\n{text}");
    }
    (count, left)
}

fn each(count: usize, block: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    (0..count).for_each(|n| write!(text, "{}", block(n)).unwrap());
    text
}

#[test]
fn one_play_goes_another_way_at_each_choice() {
    for count in [2, 20, 400] {
        for (block, most) in [
            ("either\n  C: a#\n  S: A\nor\n  C: b#\n  S: B\nend\n", 1),
            ("either\n  C: a#\nor\n  C: b#\nor\n  C: c#\nend\nS: ok\n", 2),
            ("C: go\neither\n  S: a#\nor\n  S: b#\nor\n  S: c#\nend\n", 2),
            ("C: {k#=a}\nchoose {k#}\nis a\n  S: 1\nis b\n  S: 2\nis c\n  S: 3\nend\n", 2),
            ("maybe\n  C: m#\nend\nC: a#\nS: ok\n", 1),
            ("either\n  C: a#\nor\n  C: b#\n  either\n    S: 1\n  or\n    S: 2\n  end\n  C: on\nend\nS: ok\n", 2),
            ("C: {k#=a}\nchoose {k#}\nis a\n  S: 1\nis b\n  either\n    S: 2\n  or\n    S: 3\n  end\nend\n", 2),
        ] {
            let (plays, left) = plays(&each(count, |n| block.replace('#', &n.to_string())));
            assert!(plays <= most && left.len() <= 1, "{count} times\n{block}{plays} plays, left {left:?}");
        }
    }
}

#[test]
fn a_branch_that_cannot_be_played_keeps_no_other_from_it() {
    let good = |n: usize| format!("either\n  C: a{n}\nor\n  C: b{n}\nend\nS: ok\n");
    for bad in [
        // Nothing gives it a value.
        "either\n  C: x\nor\n  C: y {z}\nend\nS: ok\n",
        "C: go\neither\n  S: x\nor\n  S: y {z}\nend\n",
        // What the hole takes leads to no other case.
        "C: {k:int=1}\nchoose {k}\nis 1\n  S: x\nis b\n  S: y\nend\n",
    ] {
        for at in [0, 7, 63] {
            let text = each(64, |n| if n == at { bad.to_owned() + &good(n) } else { good(n) });
            let (plays, left) = plays(&text);
            // It, and those that were tried alone while it was looked for.
            assert!(left.len() <= 4 && plays <= 24, "{plays} plays, left {left:?}\n{bad}");
        }
    }
}

#[test]
fn of_two_branches_that_exclude_each_other_each_is_played() {
    for text in [
        // One name, and two that ask for its value.
        "C: {k=a}\nchoose {k}\nis a\n  S: 1\nis b\n  S: 2\nis c\n  S: 3\nend\nC: on\nchoose {k}\nis a\n  S: 4\nis c\n  S: 5\nis b\n  S: 6\nend\n",
        "either\n  C: a\nor\n  either\n    C: b\n  or\n    C: c\n  or\n    C: d\n  end\nor\n  C: e\nend\nS: ok\n",
        "either\n  C: a\n  either\n    S: 1\n  or\n    S: 2\n  end\nor\n  C: b\n  either\n    S: 3\n  or\n    S: 4\n  end\nend\n",
    ] {
        let (plays, left) = plays(text);
        assert!(left.len() <= 1 && plays <= 4, "{plays} plays, left {left:?}\n{text}");
    }
}
