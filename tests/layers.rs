//! The layers: which crate may know which, and that no two files of a crate or package import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use harness::build::root;

/// The crates under `shared/`, from the bottom up. Each may import those before it, and no others.
const LAYERS: [&str; 4] = ["domain", "observe", "store", "edge"];

type Imports = BTreeMap<String, BTreeSet<String>>;

fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !["node_modules", "target", "dist"].contains(&name) {
                found.extend(files(&path, endings));
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found
}

/// A cycle of imports, if there is one: its files in order.
fn cycle(imports: &Imports) -> Option<Vec<String>> {
    fn visit(file: &str, imports: &Imports, path: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        if let Some(start) = path.iter().position(|known| known == file) {
            path.drain(..start);
            return true;
        }
        if !done.contains(file) {
            path.push(file.to_owned());
            for next in imports.get(file).into_iter().flatten() {
                if visit(next, imports, path, done) {
                    return true;
                }
            }
            path.pop();
            done.insert(file.to_owned());
        }
        false
    }
    let (mut path, mut done) = (Vec::new(), BTreeSet::new());
    imports.keys().any(|file| visit(file, imports, &mut path, &mut done)).then_some(path)
}

/// The module path of a file below a crate's root folder: `a::b` of `a/b.rs`, nothing of `lib.rs` and `main.rs`.
fn module(file: &Path) -> String {
    let parts = file.with_extension("");
    let parts: Vec<_> =
        parts.components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
    let parts: Vec<_> =
        parts.iter().filter(|part| !["lib", "main", "mod"].contains(&part.as_str())).collect();
    parts.into_iter().map(String::as_str).collect::<Vec<_>>().join("::")
}

/// The paths that a file's `use` declarations name, each in full: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn used(source: &str) -> Vec<String> {
    fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
        let (mut depth, mut start) = (0, 0);
        let mut parts = Vec::new();
        for (at, c) in tree.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(&tree[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        parts.push(&tree[start..]);
        for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('{') {
                Some((head, rest)) => {
                    expand(&format!("{prefix}{head}"), rest.strip_suffix('}').unwrap(), paths);
                }
                None => paths.push(format!("{prefix}{}", part.split(" as ").next().unwrap())),
            }
        }
    }
    let mut paths = Vec::new();
    let uses = source.split("\nuse ").skip(1).chain(source.split("\n    use ").skip(1));
    for text in uses.chain(source.split("\npub use ").skip(1)) {
        expand("", text.split(';').next().unwrap(), &mut paths);
    }
    paths
}

/// Returns the imports between the files of a crate, without those of a module's own tests.
fn rust_imports(folder: &Path) -> Imports {
    let files = files(folder, &[".rs"]);
    let relative = |file: &Path| file.strip_prefix(folder).unwrap().to_owned();
    let modules: BTreeSet<String> = files.iter().map(|file| module(&relative(file))).collect();
    let mut imports = Imports::new();
    for file in &files {
        let source = fs::read_to_string(file).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        let own = module(&relative(file));
        let parent = own.rsplit_once("::").map_or("", |(parent, _)| parent).to_owned();
        let targets = imports.entry(own.clone()).or_default();
        for path in used(source) {
            let path = match path.split_once("::").unwrap_or((&path, "")) {
                ("crate", rest) => rest.to_owned(),
                ("self", rest) => format!("{own}::{rest}"),
                ("super", rest) => format!("{parent}::{rest}").trim_start_matches("::").to_owned(),
                // A module that this file declares, as in `pub use messages::PageBounds`.
                _ => {
                    if own.is_empty() {
                        path
                    } else {
                        format!("{own}::{path}")
                    }
                }
            };
            // The longest module that the path begins with. What is left of it is an item there.
            let mut target = path.as_str();
            while !modules.contains(target) && !target.is_empty() {
                target = target.rsplit_once("::").map_or("", |(head, _)| head);
            }
            let is_module = modules.contains(target) && (!target.is_empty() || path.len() > target.len());
            if is_module && target != own && (source.contains("crate::") || !target.is_empty()) {
                targets.insert(target.to_owned());
            }
        }
    }
    imports
}

/// Returns the imports between the files of a TypeScript folder.
fn typescript_imports(folder: &Path) -> Imports {
    let files = files(folder, &[".ts", ".tsx"]);
    let mut imports = Imports::new();
    for file in &files {
        let source = fs::read_to_string(file).unwrap();
        let targets = imports.entry(file.display().to_string()).or_default();
        let named = source.split(" from \"").skip(1).chain(source.split("import(\"").skip(1));
        for path in named.map(|rest| rest.split('"').next().unwrap()).filter(|path| path.starts_with('.')) {
            let mut target = file.parent().unwrap().to_path_buf();
            for part in Path::new(path).components() {
                match part {
                    Component::ParentDir => drop(target.pop()),
                    Component::Normal(name) => target.push(name),
                    _ => {}
                }
            }
            let stem = target.with_extension("");
            let found = [
                target.clone(),
                stem.with_extension("ts"),
                stem.with_extension("tsx"),
                target.with_extension("ts"),
                target.with_extension("tsx"),
            ];
            targets.extend(
                found.iter().find(|path| files.contains(path)).map(|path| path.display().to_string()),
            );
        }
    }
    imports
}

/// Every folder whose files may not import each other.
fn rust_folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> = ["engine/src", "local/src", "openapi/src", "bench/src", "tests/harness"]
        .iter()
        .map(|path| root().join(path))
        .collect();
    for parent in ["shared", "functions"] {
        let crates =
            fs::read_dir(root().join(parent)).unwrap().map(|entry| entry.unwrap().path().join("src"));
        folders.extend(crates);
    }
    folders
}

#[test]
fn no_two_rust_files_import_each_other() {
    for folder in rust_folders() {
        let imports = rust_imports(&folder);
        assert!(!imports.is_empty(), "{}", folder.display());
        assert_eq!(cycle(&imports), None, "{}", folder.display());
    }
}

#[test]
fn no_two_typescript_files_import_each_other() {
    for folder in ["clients/typescript/src", "clients/typescript/test", "web/src", "web/test"] {
        let imports = typescript_imports(&root().join(folder));
        assert!(imports.values().any(|targets| !targets.is_empty()), "{folder}: no import was found");
        assert_eq!(cycle(&imports), None, "{folder}");
    }
}

#[test]
fn a_cycle_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "//! x\n\nmod a;\nmod b;\npub use a::A;\n");
    write("a.rs", "//! a\n\nuse crate::b::{B, C as D};\n");
    write("b.rs", "//! b\n\nuse std::fmt;\n\nuse crate::c;\n");
    write("c.rs", "//! c\n\nuse std::fmt;\n");
    assert_eq!(cycle(&rust_imports(folder.path())), None);
    write("c.rs", "//! c\n\nuse std::fmt;\nuse super::a::A;\n");
    assert_eq!(cycle(&rust_imports(folder.path())).unwrap().len(), 3);
    write("one.ts", "import { x } from \"./two.js\";\n");
    write("two.tsx", "export const y = 1;\n");
    assert_eq!(cycle(&typescript_imports(folder.path())), None);
    write("two.tsx", "import type { z } from \"./one.js\";\n");
    assert_eq!(cycle(&typescript_imports(folder.path())).unwrap().len(), 2);
}

#[test]
fn a_layer_knows_only_those_below() {
    for (level, layer) in LAYERS.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(format!("shared/{layer}/Cargo.toml"))).unwrap();
        for above in &LAYERS[level..] {
            assert!(!manifest.contains(&format!("\n{above}.workspace")), "{layer} knows {above}");
        }
    }
    let domain = fs::read_to_string(root().join("shared/domain/Cargo.toml")).unwrap();
    for unknown in ["tokio", "aws-sdk", "axum", "lambda", "hyper", "tracing"] {
        assert!(!domain.contains(&format!("\n{unknown}")), "domain knows {unknown}");
    }
    let engine = fs::read_to_string(root().join("engine/Cargo.toml")).unwrap();
    for unknown in LAYERS.into_iter().chain(["axum", "aws-sdk", "aws-smithy", "local"]) {
        assert!(!engine.contains(&format!("\n{unknown}")), "engine knows {unknown}");
    }
    let folders = fs::read_dir(root().join("shared")).unwrap().map(|entry| entry.unwrap().file_name());
    let folders: BTreeSet<_> = folders.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(folders, LAYERS.iter().map(ToString::to_string).collect());
}

/// A crate's items have one home: no crate offers those of another.
#[test]
fn no_crate_exports_the_items_of_another() {
    for layer in LAYERS {
        for file in files(&root().join(format!("shared/{layer}/src")), &[".rs"]) {
            let source = fs::read_to_string(&file).unwrap();
            for other in LAYERS {
                assert!(!source.contains(&format!("pub use {other}::")), "{}", file.display());
            }
        }
    }
}
