//! What one source file defines and names, outside of its tests.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// A path as it is written, such as `["super", "error", "MelError"]`.
pub type Path = Vec<String>;

/// One module: a file, or a `mod name { ... }` in one.
#[derive(Debug, Default)]
pub struct Source {
    /// Modules that stand in files of their own.
    pub files: Vec<String>,
    /// Modules that stand in this file.
    pub inline: Vec<(String, Source)>,
    /// Names of the types, functions, constants and so on that are defined here.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Every other path, those in macros and attributes too.
    pub paths: BTreeSet<Path>,
}

/// One name of a `use` line.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// The name that it has here; `*` for all names.
    pub name: String,
    pub target: Path,
    /// Whether it only hands the name on: `pub use`, in whatever reach.
    pub is_export: bool,
}

impl Source {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> syn::Result<Source> {
        let file = syn::parse_file(text)?;
        let mut source = Source::default();
        file.items.iter().for_each(|item| source.visit_item(item));
        Ok(source)
    }

    fn import(&mut self, tree: &UseTree, before: &[String], is_export: bool) {
        let joined = |last: String| before.iter().cloned().chain([last]).collect::<Path>();
        let (name, target) = match tree {
            UseTree::Path(path) => {
                return self.import(&path.tree, &joined(path.ident.to_string()), is_export);
            }
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.import(tree, before, is_export));
            }
            UseTree::Name(name) if name.ident == "self" => {
                (before.last().cloned().unwrap_or_default(), before.to_vec())
            }
            UseTree::Name(name) => (name.ident.to_string(), joined(name.ident.to_string())),
            UseTree::Rename(rename) => {
                (rename.rename.to_string(), joined(rename.ident.to_string()))
            }
            UseTree::Glob(_) => ("*".to_owned(), before.to_vec()),
        };
        self.imports.push(Import {
            name,
            target,
            is_export,
        });
    }

    /// The paths in tokens that no parser has looked at: `a::b` and single names.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Path::new();
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.keep(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                _ => {
                    self.keep(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = token {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.keep(&mut path);
    }

    fn keep(&mut self, path: &mut Path) {
        if !path.is_empty() {
            self.paths.insert(std::mem::take(path));
        }
    }

    fn name(&mut self, item: &Item) {
        let ident = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            _ => return,
        };
        self.items.insert(ident.to_string());
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        self.name(item);
        match item {
            Item::Use(item) => {
                let is_export = !matches!(item.vis, Visibility::Inherited);
                self.import(&item.tree, &[], is_export);
            }
            Item::Mod(item) => match &item.content {
                None => self.files.push(item.ident.to_string()),
                Some((_, items)) => {
                    let mut inner = Source::default();
                    items.iter().for_each(|item| inner.visit_item(item));
                    self.inline.push((item.ident.to_string(), inner));
                }
            },
            other => visit::visit_item(self, other),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter();
        self.paths
            .insert(names.map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}

/// Whether an item is compiled for tests alone.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        let mut words = Source::default();
        words.tokens(list.tokens.clone());
        let has = |word: &str| words.paths.contains(&vec![word.to_owned()]);
        list.path.is_ident("cfg") && has("test") && !has("not")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn names_of_use_lines_are_read() {
        let text = "use super::{a, b::{self, C as D}}; pub(crate) use e::F; use crate::g::*;";
        let source = Source::parse(text).unwrap();
        let found: Vec<_> = source
            .imports
            .iter()
            .map(|import| {
                (
                    import.name.as_str(),
                    import.target.join("::"),
                    import.is_export,
                )
            })
            .collect();
        let expected = [
            ("a", "super::a".to_owned(), false),
            ("b", "super::b".to_owned(), false),
            ("D", "super::b::C".to_owned(), false),
            ("F", "e::F".to_owned(), true),
            ("*", "crate::g".to_owned(), false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_are_found_in_code_macros_and_attributes() {
        let text = r#"
            #[error("{x}", x = super::a::one())]
            struct E(crate::b::Two);
            fn f() { println!("{}", crate::c::THREE); g(|| self::d::four()) }
        "#;
        let source = Source::parse(text).unwrap();
        for expected in [
            "super::a::one",
            "crate::b::Two",
            "crate::c::THREE",
            "self::d::four",
        ] {
            assert!(
                source.paths.contains(&path(expected)),
                "{expected}: {:?}",
                source.paths
            );
        }
        assert!(source.items.contains("E") && source.items.contains("f"));
    }

    #[test]
    fn tests_comments_and_documentation_are_left_out() {
        let text = r"
            //! crate::a::A
            mod b;
            #[cfg(test)] mod c;
            #[cfg(all(test, unix))] mod tests { use crate::d::D; }
            #[cfg(test)] use crate::e::E;
            impl F { #[cfg(test)] fn g() { crate::h::h() } /* crate::i::I */ }
            #[cfg(not(test))] use crate::j::J;
        ";
        let source = Source::parse(text).unwrap();
        assert_eq!(source.files, ["b"]);
        assert_eq!(source.imports.len(), 1, "{:?}", source.imports);
        assert!(source.inline.is_empty());
        assert!(
            source.paths.iter().all(|path| path[0] != "crate"),
            "{:?}",
            source.paths
        );
    }
}
