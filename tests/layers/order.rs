//! What is wrong with uses: circles, and arrows that run up.

use std::collections::BTreeSet;

use super::tree::Uses;

/// The circles among the files, each with its files in order of their names: sets of files that all lead to one another.
pub fn circles(uses: &Uses) -> Vec<Vec<String>> {
    let reach: Vec<(&String, BTreeSet<&String>)> = uses
        .keys()
        .map(|file| (file, reached(uses, file)))
        .collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, from_here) in &reach {
        if !from_here.contains(file) {
            continue;
        }
        let back = reach
            .iter()
            .filter(|(other, from_there)| from_here.contains(other) && from_there.contains(file));
        found.insert(back.map(|(other, _)| (*other).clone()).collect());
    }
    found.into_iter().collect()
}

/// All files that `from` rests on, however far away.
fn reached<'a>(uses: &'a Uses, from: &str) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&String> = uses.get(from).into_iter().flatten().collect();
    while let Some(file) = open.pop() {
        if found.insert(file) {
            open.extend(uses.get(file).into_iter().flatten());
        }
    }
    found
}

/// The uses that do not run down. `folder` is a path below `src` that ends with `/` (or nothing); `stages` are the rooms in it, those that
/// rest on nothing first, and no two of one stage use each other.
pub fn upward(uses: &Uses, folder: &str, stages: &[&[&str]]) -> Vec<String> {
    let stage = |file: &str| {
        let room = room(file, folder)?;
        let found = stages.iter().position(|rooms| rooms.contains(&room));
        found.map(|stage| (stage, room.to_owned()))
    };
    let mut wrong = Vec::new();
    for (from, all) in uses {
        for to in all {
            let (Some((upper, from_room)), Some((lower, to_room))) = (stage(from), stage(to))
            else {
                continue;
            };
            if from_room != to_room && lower >= upper {
                wrong.push(format!("{from} uses {to}"));
            }
        }
    }
    wrong
}

/// The room of `folder` that a file is in.
fn room<'a>(file: &'a str, folder: &str) -> Option<&'a str> {
    let rest = file.strip_prefix(folder)?;
    let first = rest.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(pairs: &[(&str, &str)]) -> Uses {
        let mut uses = Uses::new();
        for (from, to) in pairs {
            uses.entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned());
        }
        uses
    }

    #[test]
    fn each_circle_is_found_once_and_nothing_else() {
        let circle = uses(&[
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "d"),
            ("e", "a"),
            ("d", "f"),
            ("f", "d"),
        ]);
        assert_eq!(circles(&circle), [vec!["a", "b", "c"], vec!["d", "f"]]);
        assert!(circles(&uses(&[("a", "b"), ("a", "c"), ("b", "c")])).is_empty());
    }

    #[test]
    fn arrows_that_run_up_or_along_are_found() {
        let found = uses(&[
            ("x/high/a.rs", "x/low.rs"),
            ("x/high/b.rs", "x/high/a.rs"),
            ("x/low.rs", "x/high/mod.rs"),
            ("x/low.rs", "x/beside.rs"),
            ("y.rs", "x/low.rs"),
        ]);
        let wrong = upward(&found, "x/", &[&["low", "beside"], &["high"]]);
        assert_eq!(
            wrong,
            ["x/low.rs uses x/beside.rs", "x/low.rs uses x/high/mod.rs"]
        );
    }
}
