//! The modules of a crate, and which file uses which.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Path, Source};

/// Uses between files, by their paths below `src`: each file with those that it rests on.
pub type Uses = BTreeMap<String, BTreeSet<String>>;

/// Longest chain of re-exports that is followed; a name that leads back to itself is none of the crate's.
const MAX_CHAIN: usize = 16;

/// The modules of a crate.
pub struct Tree {
    modules: BTreeMap<Path, Module>,
}

struct Module {
    file: String,
    source: Source,
}

impl Tree {
    /// Reads a crate from `lib.rs` down. `read` gives the text of a file by its path below `src`.
    ///
    /// # Errors
    /// A module without a file, and a file that is no Rust.
    pub fn load(read: &dyn Fn(&str) -> Option<String>) -> Result<Tree, String> {
        let mut tree = Tree {
            modules: BTreeMap::new(),
        };
        tree.add_file(Path::new(), "lib.rs", read)?;
        Ok(tree)
    }

    fn add_file(
        &mut self,
        at: Path,
        file: &str,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        let text = read(file).ok_or_else(|| format!("there is no {file}"))?;
        let source = Source::parse(&text).map_err(|error| format!("{file}: {error}"))?;
        self.add(at, file, source, read)
    }

    fn add(
        &mut self,
        at: Path,
        file: &str,
        mut source: Source,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        for (name, inner) in std::mem::take(&mut source.inline) {
            self.add(below(&at, &name), file, inner, read)?;
        }
        for name in &source.files {
            let child = below(&at, name);
            let stem = child.join("/");
            let alone = format!("{stem}.rs");
            let place = if read(&alone).is_some() {
                alone
            } else {
                format!("{stem}/mod.rs")
            };
            self.add_file(child, &place, read)?;
        }
        let file = file.to_owned();
        self.modules.insert(at, Module { file, source });
        Ok(())
    }

    /// The modules right below `parent`.
    pub fn children(&self, parent: &[&str]) -> BTreeSet<String> {
        let is_child = |at: &&Path| at.len() == parent.len() + 1 && at.starts_with_names(parent);
        let found = self.modules.keys().filter(is_child);
        found.filter_map(|at| at.last().cloned()).collect()
    }

    /// Which file rests on which. A re-export is but another name of what it hands on, and makes no use by itself.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (at, module) in &self.modules {
            let imports = module.source.imports.iter();
            let imports = imports.filter(|import| !import.is_export);
            let paths = imports
                .map(|import| &import.target)
                .chain(&module.source.paths);
            let found = uses.entry(module.file.clone()).or_default();
            found.extend(
                paths
                    .filter_map(|path| self.defined_in(at, path, 0))
                    .filter(|file| *file != module.file)
                    .map(str::to_owned),
            );
        }
        uses
    }

    /// The file that defines what `path` names in the module `at`; `None` for what is not of this crate, and for modules: what is used of
    /// these is named elsewhere.
    fn defined_in(&self, at: &[String], path: &[String], chain: usize) -> Option<&str> {
        if chain > MAX_CHAIN {
            return None;
        }
        let (mut at, mut rest, mut is_ours) = (at.to_vec(), path, false);
        while let Some((word, behind)) = rest.split_first() {
            match word.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ => break,
            }
            (rest, is_ours) = (behind, true);
        }
        loop {
            let module = self.modules.get(&at)?;
            let (name, behind) = rest.split_first()?;
            let child = below(&at, name);
            if !behind.is_empty() && self.modules.contains_key(&child) {
                (at, rest, is_ours) = (child, behind, true);
                continue;
            }
            if module.source.items.contains(name) {
                return Some(&module.file);
            }
            let follow = |target: &Path, behind: &[String]| {
                let path: Path = target.iter().chain(behind).cloned().collect();
                self.defined_in(&at, &path, chain + 1)
            };
            let mut imports = module.source.imports.iter();
            if let Some(import) = imports.find(|import| import.name == *name) {
                return follow(&import.target, behind);
            }
            if self.modules.contains_key(&child) {
                return None;
            }
            let mut globs = module
                .source
                .imports
                .iter()
                .filter(|import| import.name == "*");
            let found = globs.find_map(|glob| follow(&glob.target, rest));
            // What a macro makes is not seen, and is the module's.
            return found.or_else(|| is_ours.then_some(&*module.file));
        }
    }
}

fn below(at: &[String], name: &str) -> Path {
    at.iter().cloned().chain([name.to_owned()]).collect()
}

trait StartsWith {
    fn starts_with_names(&self, names: &[&str]) -> bool;
}

impl StartsWith for Path {
    fn starts_with_names(&self, names: &[&str]) -> bool {
        self.len() >= names.len() && self.iter().zip(names).all(|(own, name)| own == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let read = |file: &str| {
            let found = files.iter().find(|(name, _)| *name == file);
            found.map(|(_, text)| (*text).to_owned())
        };
        let uses = Tree::load(&read).unwrap().uses();
        let pairs = uses
            .into_iter()
            .flat_map(|(from, all)| all.into_iter().map(move |to| (from.clone(), to)));
        pairs.collect()
    }

    fn pair(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn a_name_is_followed_through_re_exports_to_the_file_that_defines_it() {
        let found = uses(&[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod inner; mod other; pub use inner::Thing;"),
            ("a/inner.rs", "pub struct Thing;"),
            ("a/other.rs", "use super::Thing; fn f(_: Thing) {}"),
            ("b.rs", "fn f() -> crate::a::Thing { loop {} }"),
        ]);
        assert_eq!(
            found,
            [pair("a/other.rs", "a/inner.rs"), pair("b.rs", "a/inner.rs")]
        );
    }

    #[test]
    fn a_folder_that_uses_what_it_re_exports_rests_on_it() {
        let found = uses(&[
            ("lib.rs", "mod a;"),
            (
                "a/mod.rs",
                "mod inner; pub use inner::Thing; pub struct Own(Thing);",
            ),
            ("a/inner.rs", "use super::Own; pub struct Thing(Own);"),
        ]);
        assert_eq!(
            found,
            [
                pair("a/inner.rs", "a/mod.rs"),
                pair("a/mod.rs", "a/inner.rs")
            ]
        );
    }

    #[test]
    fn a_module_that_was_imported_is_looked_into() {
        let found = uses(&[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "pub mod inner;"),
            ("a/inner.rs", "pub fn make() {}"),
            (
                "b.rs",
                "use crate::a::inner; use std::fmt; fn f() { fmt::write(); vec![inner::make()]; }",
            ),
        ]);
        assert_eq!(found, [pair("b.rs", "a/inner.rs")]);
    }

    #[test]
    fn a_module_within_a_file_is_part_of_that_file() {
        let found = uses(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "struct Own; mod inner { use super::Own; use super::super::b::B; }",
            ),
            ("b.rs", "pub struct B;"),
        ]);
        assert_eq!(found, [pair("a.rs", "b.rs")]);
    }
}
