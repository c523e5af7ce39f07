//! Who may import whom, read from the sources: an import in the wrong direction fails here, with
//! its file and line. That the command uses the public API only, the compiler sees to.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules that everything may use, and that use only each other.
const GROUND: [&str; 20] = [
    "error",
    "hint",
    "dtype",
    "durable",
    "frame",
    "geometry",
    "finding",
    "kind",
    "mapped",
    "morton",
    "normalise",
    "npy",
    "exec",
    "padding",
    "process",
    "setters",
    "space",
    "staged",
    "unique",
    "widening",
];

/// Each other module, and what it may use beyond itself and the ground.
const STATIONS: [(&str, &[&str]); 15] = [
    ("disk", &[]),
    ("phantom", &["scan"]),
    ("scan", &[]),
    ("layout", &[]),
    ("statistics", &[]),
    ("codec", &["layout"]),
    // How benchmarks reach a part of `codec`; the crate itself does not take that way.
    ("packed", &[]),
    ("sample", &[]),
    ("store", &["codec", "disk", "layout", "sample", "statistics"]),
    ("query", &["sample", "statistics", "store"]),
    ("ingest", &["scan", "layout", "sample", "statistics", "store"]),
    ("export", &["scan", "store"]),
    ("aggregate", &["layout", "sample", "statistics", "store"]),
    ("predict", &["aggregate", "query", "sample", "store"]),
    ("bench", &["layout", "query", "sample", "scan", "statistics", "store"]),
];

/// Files with unsafe code.
const UNSAFE: [&str; 4] = [
    "mapped.rs",
    "codec/packed/dispatch.rs",
    "codec/packed/kernel/avx2.rs",
    "codec/packed/tests/guarded.rs",
];

/// Words with one home, and the files (or folders) that are it.
const MONOPOLIES: [(&str, &[&str]); 14] = [
    ("zarrs::", &["codec/plugin.rs", "codec/tests/", "store/tests.rs"]),
    ("sync_all", &["durable.rs"]),
    ("memmap2::", &["mapped.rs"]),
    ("base64::", &["statistics/packed.rs"]),
    ("quick_cache::", &["store/cache.rs"]),
    ("unsafe ", &UNSAFE),
    ("allow(unsafe_code)", &UNSAFE),
    ("thread::spawn", &["exec.rs", "bin/"]),
    ("thread::scope", &["exec.rs", "bin/"]),
    ("thread::Builder", &["exec.rs", "bin/"]),
    ("ThreadPoolBuilder", &["exec.rs"]),
    ("rayon::spawn", &["exec.rs"]),
    ("build_global", &[]),
    ("process::Command", &["predict/model.rs", "bin/"]),
];

#[test]
fn imports_follow_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in rust_files(&src) {
        let relative = path.strip_prefix(&src).expect("below src").to_string_lossy();
        let source = fs::read_to_string(&path).expect("readable source");
        found.extend(violations(&relative.replace('\\', "/"), &source));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn wrong_imports_are_found() {
    for (file, source) in [
        ("store/volume.rs", "use crate::scan::Scan;"),
        ("store/mod.rs", "use super::query::Padding;"),
        ("store/job/state.rs", "use super::super::super::ingest;"),
        ("query/mod.rs", "\nuse crate::{\n    Region,\n    ingest::{convert, Report},\n};"),
        ("geometry.rs", "fn f() -> crate::layout::Codec {}"),
        ("layout/plan.rs", "use zarrs::array::Array;"),
        ("store/volume.rs", "let x = unsafe { y() };"),
        ("codec/packed/segment.rs", "let x = unsafe { y() };"),
        ("codec/packed/chunk.rs", "use crate::store::Volume;"),
        ("query/read.rs", "use crate::packed::decode;"),
        ("query/read.rs", "use crate::codec::Scratch;"),
        ("store/stored.rs", "use crate::packed::decode;"),
        ("codec/chain.rs", "use zarrs::array::CodecChain;"),
        ("codec/decode.rs", "use super::super::statistics;"),
        ("export.rs", "use crate::ingest::convert;"),
        ("query/plan.rs", "std::thread::spawn(|| ());"),
        ("model/mod.rs", ""),
    ] {
        assert_eq!(violations(file, source).len(), 1, "{file}: {source}");
    }
    for (file, source) in [
        ("store/volume.rs", "use crate::layout::Codec; // crate::scan is told by the caller"),
        ("store/job/state.rs", "use super::{Scratch, scan};"),
        ("query/mod.rs", "use crate::{Region, Result, store::Volume, voxels};"),
        ("codec/plugin.rs", "use zarrs::array::Array;"),
        ("query/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::ingest;\n}"),
    ] {
        assert_eq!(violations(file, source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn no_two_files_import_each_other() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> =
        rust_files(&src).iter().filter_map(|file| Some(file.parent()?.to_owned())).collect();
    folders.sort();
    folders.dedup();
    let found: Vec<String> = folders.iter().flat_map(|folder| circles(folder)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_that_import_each_other_are_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, source: &str| {
        fs::write(folder.path().join(name), source).expect("written");
    };
    write("a.rs", "use super::{Other, b::{C, D}};");
    write("b.rs", "use super::c;");
    write("c.rs", "use super::super::b;\n#[cfg(test)]\nmod tests {\n    use super::b;\n}");
    assert!(circles(folder.path()).is_empty());
    write("b.rs", "use super::c;\nfn f() -> super::a::A {}");
    assert_eq!(circles(folder.path()).len(), 1);
}

/// Pairs of files of a folder that import each other. What they share belongs to a third.
fn circles(folder: &Path) -> Vec<String> {
    let mut imports: Vec<(String, Vec<String>)> = Vec::new();
    for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
    {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.extension().is_none_or(|kind| kind != "rs") || name == "mod" {
            continue;
        }
        let code = code_of(&fs::read_to_string(&path).expect("readable source"));
        let is_first = |at: &usize| !code[..*at].ends_with("::");
        let paths = code.match_indices("super::").map(|(at, _)| at).filter(is_first);
        let names = paths.flat_map(|at| first_segments(&code[at + "super::".len()..]));
        imports.push((name, names.map(str::to_owned).collect()));
    }
    let uses = |a: &str, b: &str| {
        imports.iter().any(|(name, names)| name == a && names.iter().any(|name| name == b))
    };
    let names = || imports.iter().map(|(name, _)| name);
    let pairs = names().flat_map(|a| names().map(move |b| (a, b)));
    pairs
        .filter(|(a, b)| a < b && uses(a, b) && uses(b, a))
        .map(|(a, b)| format!("{}: {a} and {b} import each other", folder.display()))
        .collect()
}

/// Source without its inline tests, which stand last, and without comments. These are blanked, not
/// removed: positions then still give line numbers.
fn code_of(source: &str) -> String {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: Vec<&str> = code.lines().map(|l| l.split("//").next().unwrap_or("")).collect();
    code.join("\n")
}

/// Everything wrong in one file, given its path from `src/`. Its inline tests, which stand last,
/// may use what they need to set up.
fn violations(file: &str, source: &str) -> Vec<String> {
    let code = code_of(source);
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    let mut found = Vec::new();
    for (word, homes) in MONOPOLIES {
        if let Some((at, _)) = code.match_indices(word).next()
            && !homes.iter().any(|home| file.starts_with(home))
        {
            found.push(format!("src/{file}:{}: `{word}` belongs to {homes:?}", line(at)));
        }
    }
    let own = file.split('/').next().unwrap_or(file).trim_end_matches(".rs");
    if matches!(own, "lib" | "bin") {
        return found;
    }
    let Some(allowed) = allowed(own) else {
        found.push(format!("src/{file}: `{own}` is not in the table of tests/layering.rs"));
        return found;
    };
    for (at, name) in crate_names(file, &code) {
        let known = GROUND.contains(&name) || STATIONS.iter().any(|(s, _)| *s == name);
        if known && name != own && !GROUND.contains(&name) && !allowed.contains(&name) {
            found.push(format!("src/{file}:{}: `{own}` may not use `{name}`", line(at)));
        }
    }
    found
}

fn allowed(module: &str) -> Option<&'static [&'static str]> {
    let ground = GROUND.contains(&module).then_some(&[][..]);
    ground.or_else(|| STATIONS.iter().find(|(s, _)| *s == module).map(|(_, allowed)| *allowed))
}

/// First segments of all paths that start at the root of the crate, and where they stand:
/// after `crate::`, and after as many `super::` as lead there.
fn crate_names<'a>(file: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let depth = file.trim_end_matches("/mod.rs").split('/').count();
    let to_root = "super::".repeat(depth);
    let mut names = Vec::new();
    for root in ["crate::", &to_root] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            names.extend(first_segments(rest).into_iter().map(|name| (at, name)));
        }
    }
    names
}

/// `a` of `a::b;`, and `a` and `c` of `{a::{b, d}, c::e}`.
fn first_segments(rest: &str) -> Vec<&str> {
    let identifier = |s: &str| s.find(|c: char| !c.is_alphanumeric() && c != '_');
    let Some(list) = rest.strip_prefix('{') else {
        return vec![&rest[..identifier(rest).unwrap_or(rest.len())]];
    };
    let mut segments = Vec::new();
    let (mut open, mut start) = (1, 0);
    for (at, c) in list.char_indices() {
        open += i32::from(c == '{') - i32::from(c == '}');
        if open == 0 || (open == 1 && c == ',') {
            let item = list[start..at].trim();
            segments.push(&item[..identifier(item).unwrap_or(item.len())]);
            start = at + 1;
        }
        if open == 0 {
            break;
        }
    }
    segments
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("readable folder");
    let paths = entries.map(|entry| entry.expect("readable entry").path());
    paths
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
