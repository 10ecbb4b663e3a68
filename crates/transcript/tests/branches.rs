//! Branches that neither end takes by itself: many of them in one play.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;

use transcript::rehearse::{BranchOutcome, Branches, left_of, rehearse};
use transcript::{Carrier, PlayOptions, Script, Side, Transcript};

/// How many plays it takes, and which branches are left to be played one by one, as `check --all-branches` does.
fn plays(text: &str) -> (usize, Vec<usize>) {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}"));
    let script = |side, branches: &[usize]| {
        let mut options = PlayOptions::new(side, Carrier::Stream);
        options.branches = branches.to_vec();
        Script::prepare(&transcript, &options)
    };
    let play = |branches: &[usize]| {
        let (client, server) = (script(Side::Client, branches).ok()?, script(Side::Server, branches).ok()?);
        let rehearsal = rehearse(&client, &server, |all| all);
        rehearsal.is_success().then_some(rehearsal.unplayed)
    };
    let unplayed = play(&[]).expect("it agrees");
    let unplayed_at_first = unplayed.clone();
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
    // Made ready once for all ways, both ends go each of them just as if they were made ready for it.
    let mut ways = Branches::new(&script(Side::Client, &[]).unwrap(), &script(Side::Server, &[]).unwrap());
    for line in unplayed_at_first.into_iter().take(50).filter(|_| text.len() < 2000) {
        let expected = match play(&[line]) {
            Some(unplayed) if unplayed.contains(&line) => BranchOutcome::NotReached,
            Some(_) => BranchOutcome::Agreed,
            None => BranchOutcome::Unknown,
        };
        let way = ways.play(line);
        // Where two ask for the value of one name, whoever makes both ends ready finds that no way leads there.
        let is_left = way == BranchOutcome::Unknown && expected == BranchOutcome::NotReached;
        assert!(way == expected || is_left, "{line}: {way:?}, and it is {expected:?}\n{text}");
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

#[test]
fn each_of_many_ways_that_exclude_each_other_is_gone_as_if_it_were_the_only_one() {
    for text in [
        // In a loop, in another `choose`, behind one, with ways for all other values.
        "repeat\n  C: {k=a|b|z}\n  choose {k}\n  is a\n    S: 1\n  is b\n    S: 2\n  is c\n    S: 3\n  else\n    S: 4\n  end\nend\nC: q\nS: r\n",
        "C: {k=a} {j=x}\nchoose {k}\nis a\n  S: 1\nis b\n  choose {j}\n  is x\n    S: 2\n  is y\n    S: 3\n  else\n    S: 4\n  end\nend\nC: q\n",
        "C: {k=a}\nchoose {k}\nis a\n  S: 1\nis b\n  choose {k}\n  is b\n    S: 2\n  is c\n    S: 3\n  end\nend\nC: q\n",
        // What leads there cannot be said, would be heard as another line, or breaks it.
        "C: {k=a}\nchoose {k}\nis a\n  S: 1\nis b\n  S: 2\nis c\n  either\n    S: x\n  or\n    S: {y}\n  end\nend\nC: q\n",
        "either\n  C: b\n  S: B\nor\n  C: {k=a}\n  choose {k}\n  is a\n    S: 1\n  is b\n    S: 2\n  is c\n    S: 3\n  end\nend\nC: q\n",
        "C: {k=a}\nchoose {k}\nis a\n  S: 1\nis b{0x0a}c\n  S: 2\nis {0x0d}\n  S: 3\nis \n  S: 4\nend\nC: q\n",
        "C: {k:int=1}\nchoose {k}\nis 1\n  S: 1\nis b\n  S: 2\nis 3\n  S: 3\nend\nC: q\n",
        // The value is said again, and a way differs in what it hears.
        "C: {k=a}\nS: {k}\nchoose {k}\nis a\n  C: 1\nis bb\n  C: 2\n  S: {k} {k}\nis c\n  C raw: x{k}y\n  S: 3\nend\nS: q\n",
    ] {
        plays(text);
    }
}

#[test]
fn of_two_equal_lines_that_may_be_left_out_each_is_played() {
    for text in [
        "C: a\nmaybe\n  S: wait\nend\nC: b\nmaybe\n  S: wait\nend\nS: ok\n",
        "C: a\nmaybe\n  S: wait {_=1}\nend\nC: b\nmaybe\n  S: wait {_=2}\nend\nS: ok\n",
        "set n = 1\nC: a\nmaybe\n  S: wait {n}\nend\nC: b\nmaybe\n  S: wait {n}\nend\nS: ok\n",
    ] {
        assert_eq!(plays(text).1, Vec::<usize>::new(), "{text}");
    }
}
