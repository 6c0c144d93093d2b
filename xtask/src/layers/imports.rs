//! Reads from the source of a crate which file imports from which other file.
//!
//! The source is read as tokens, so that paths inside macros count and those in comments and texts
//! do not. Test code is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The path of a module below the root of its crate, which is empty.
pub(super) type Module = Vec<String>;

/// One file of a crate.
pub(super) struct Source {
    /// The path of the file, for messages.
    pub(super) file: String,
    pub(super) text: String,
}

/// A path in the source of one file that leads to another file.
pub(super) struct Import {
    pub(super) from: Module,
    pub(super) to: Module,
    /// File, line and path, for messages.
    pub(super) place: String,
}

/// Reads the imports between the files of one crate.
pub(super) fn read(sources: &BTreeMap<Module, Source>) -> Result<Vec<Import>, Box<dyn Error>> {
    let mut krate = Crate {
        modules: sources.keys().cloned().collect(),
        ..Crate::default()
    };
    for (module, source) in sources {
        let tokens: TokenStream = source
            .text
            .parse()
            .map_err(|error| format!("{}: {error}", source.file))?;
        krate.walk(tokens, module);
    }
    let mut imports = Vec::new();
    for path in &krate.paths {
        let from = file_of(sources, &path.module);
        let Some(to) = krate.absolute(&path.module, &path.words) else {
            continue;
        };
        let to = file_of(sources, &krate.owner(&to, 0));
        if from != to {
            let file = sources.get(&from).map_or("", |source| &source.file);
            let place = format!("{file}:{}: {}", path.line, path.words.join("::"));
            imports.push(Import { from, to, place });
        }
    }
    Ok(imports)
}

/// The file that a module stands in: its own, or that of a module around it.
fn file_of(sources: &BTreeMap<Module, Source>, module: &[String]) -> Module {
    let mut module = module.to_owned();
    while !module.is_empty() && !sources.contains_key(&module) {
        module.pop();
    }
    module
}

/// The modules, paths and names in the files of a crate.
#[derive(Default)]
struct Crate {
    modules: BTreeSet<Module>,
    paths: Vec<Path>,
    /// The names that a module imports, by the names that they have there.
    names: BTreeMap<(Module, String), (Module, Vec<String>)>,
}

/// A path as it is written.
struct Path {
    /// The module that it is written in.
    module: Module,
    words: Vec<String>,
    line: usize,
}

impl Crate {
    fn walk(&mut self, tokens: TokenStream, module: &Module) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        while let [token, after @ ..] = rest {
            rest = after;
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let [TokenTree::Group(attribute), after @ ..] = rest
                        && is_test(&attribute.stream().to_string())
                    {
                        rest = after_item(after);
                    }
                }
                TokenTree::Group(group) => self.walk(group.stream(), module),
                TokenTree::Ident(word) if word == "mod" => {
                    if let [TokenTree::Ident(name), TokenTree::Group(body), after @ ..] = rest {
                        let inner: Module = [module.as_slice(), &[name.to_string()]].concat();
                        self.modules.insert(inner.clone());
                        self.walk(body.stream(), &inner);
                        rest = after;
                    }
                }
                TokenTree::Ident(word) if word == "use" && !is_punct(rest.first(), '<') => {
                    let (tree, after) = split_at_semicolon(rest);
                    self.use_tree(tree, &[], module);
                    rest = after;
                }
                TokenTree::Ident(word)
                    if ["crate", "self", "super"].contains(&word.to_string().as_str())
                        && is_punct(rest.first(), ':') =>
                {
                    let mut words = vec![word.to_string()];
                    while let [
                        TokenTree::Punct(one),
                        TokenTree::Punct(two),
                        TokenTree::Ident(next),
                        after @ ..,
                    ] = rest
                        && one.as_char() == ':'
                        && two.as_char() == ':'
                    {
                        words.push(next.to_string());
                        rest = after;
                    }
                    let line = word.span().start().line;
                    self.paths.push(Path {
                        module: module.clone(),
                        words,
                        line,
                    });
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// Reads `a::{b, c as d}` behind `use`.
    fn use_tree(&mut self, tree: &[TokenTree], before: &[String], module: &Module) {
        for branch in tree.split(|token| is_punct(Some(token), ',')) {
            // `::name` is another crate, even where a module has the same name.
            if before.is_empty() && is_punct(branch.first(), ':') {
                continue;
            }
            let mut words = before.to_owned();
            let mut name = None;
            let mut line = None;
            let mut tokens = branch.iter();
            while let Some(token) = tokens.next() {
                match token {
                    TokenTree::Ident(word) if word == "as" => {
                        name = tokens.next().map(ToString::to_string);
                    }
                    TokenTree::Ident(word) => {
                        line = Some(word.span().start().line);
                        words.push(word.to_string());
                    }
                    TokenTree::Group(group) => {
                        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                        self.use_tree(&inner, &words, module);
                        line = None;
                    }
                    TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                }
            }
            let Some(line) = line else { continue };
            if words.len() > 1 && words.last().is_some_and(|word| word == "self") {
                words.pop();
            }
            if let Some(name) = name.or_else(|| words.last().cloned()) {
                let names = (module.clone(), words.clone());
                self.names.insert((module.clone(), name), names);
            }
            self.paths.push(Path {
                module: module.clone(),
                words,
                line,
            });
        }
    }

    /// The path from the root of the crate, if it is one in this crate.
    fn absolute(&self, module: &[String], words: &[String]) -> Option<Vec<String>> {
        let (first, rest) = words.split_first()?;
        let mut path = module.to_owned();
        match first.as_str() {
            "crate" => path.clear(),
            "self" => {}
            "super" => {
                path.pop();
                let more = rest.iter().take_while(|word| *word == "super").count();
                path.truncate(path.len().saturating_sub(more));
                path.extend(rest.iter().skip(more).cloned());
                return Some(path);
            }
            _ => {
                path.push(first.clone());
                if !self.modules.contains(&path) {
                    return None;
                }
            }
        }
        path.extend(rest.iter().cloned());
        Some(path)
    }

    /// The module that owns what a path leads to: re-exports on the way are followed.
    fn owner(&self, path: &[String], followed: usize) -> Module {
        let mut module = Module::new();
        for (index, word) in path.iter().enumerate() {
            let child: Module = [module.as_slice(), std::slice::from_ref(word)].concat();
            if self.modules.contains(&child) {
                module = child;
                continue;
            }
            if followed < 9
                && let Some((place, words)) = self.names.get(&(module.clone(), word.clone()))
                && let Some(mut target) = self.absolute(place, words)
            {
                target.extend(path.iter().skip(index + 1).cloned());
                return self.owner(&target, followed + 1);
            }
            break;
        }
        module
    }
}

fn is_test(attribute: &str) -> bool {
    let attribute = attribute.replace(' ', "");
    attribute == "cfg(test)" || attribute.starts_with("cfg(all(test")
}

/// The tokens behind the item that follows an attribute.
fn after_item(mut tokens: &[TokenTree]) -> &[TokenTree] {
    while let [first, TokenTree::Group(_), after @ ..] = tokens
        && is_punct(Some(first), '#')
    {
        tokens = after;
    }
    let body = tokens.iter().position(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(Some(token), ';'),
    });
    match tokens.first() {
        Some(TokenTree::Ident(word)) if word == "use" => split_at_semicolon(tokens).1,
        _ => body.map_or(&[], |body| tokens.get(body + 1..).unwrap_or_default()),
    }
}

fn split_at_semicolon(tokens: &[TokenTree]) -> (&[TokenTree], &[TokenTree]) {
    let end = tokens.iter().position(|token| is_punct(Some(token), ';'));
    let (before, after) = tokens.split_at(end.unwrap_or(tokens.len()));
    (before, after.get(1..).unwrap_or_default())
}

fn is_punct(token: Option<&TokenTree>, expected: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == expected)
}
