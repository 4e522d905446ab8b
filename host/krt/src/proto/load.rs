//! Finds all files that a proto imports, in the package or built in, and builds their descriptors in order.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;

use prost_reflect::DescriptorPool;
use prost_types::{DescriptorProto, FileDescriptorProto};
use protox::file::{File, FileResolver as _, GoogleFileResolver};

use super::{Proto, nesting, report};
use crate::files::{FileKind, Files, PathFault, parent, resolve};
use crate::problem::{Problem, Source};

/// Bytes of one proto. The largest that people write by hand have some ten thousand lines.
const LONGEST_FILE: usize = 1 << 20;

/// Bytes of all protos of a package together.
const LONGEST_TOGETHER: usize = 8 << 20;

/// Files, built-in ones included.
const MOST_FILES: usize = 256;

/// A file that is there and parses.
struct Parsed {
    /// None for a built-in file.
    source: Option<Source>,
    descriptor: FileDescriptorProto,
}

struct Loader<'f> {
    files: &'f dyn Files,
    parsed: HashMap<String, Parsed>,
    bytes: usize,
    problems: Vec<Problem>,
}

pub(super) fn load(files: &dyn Files, path: &str) -> Result<Proto, Vec<Problem>> {
    let path = resolve("", path).map_err(|fault| vec![not_a_path(path, fault)])?;
    let mut loader = Loader { files, parsed: HashMap::new(), bytes: 0, problems: Vec::new() };
    loader.read_all(&path);
    if !loader.problems.is_empty() {
        return Err(loader.problems);
    }
    let order = loader.in_order(&path)?;
    let (mut pool, mut comments) = (DescriptorPool::new(), BTreeMap::new());
    for name in order {
        let Some(parsed) = loader.parsed.get_mut(&name) else { continue };
        let mut descriptor = std::mem::take(&mut parsed.descriptor);
        // Without: searching it for the place of each error takes hours on a file of 1 MiB that is all errors.
        let bare = FileDescriptorProto { source_code_info: None, ..descriptor.clone() };
        if let Err(error) = pool.add_file_descriptor_proto(bare) {
            return Err(match &parsed.source {
                Some(source) => report::definition(source, error, &mut pool, descriptor),
                None => vec![Problem::about_file(
                    name,
                    "proto-definition",
                    error.to_string(),
                    "report this: it is built in",
                )],
            });
        }
        if let (Some(_), Some(info)) = (&parsed.source, descriptor.source_code_info.take()) {
            comments.insert(name, info);
        }
    }
    let sources = loader.parsed.into_iter().filter_map(|(path, parsed)| Some((path, parsed.source?.text().to_owned())));
    let sources: BTreeMap<_, _> = sources.collect();
    Ok(Proto { pool, path, sources, comments })
}

pub(super) fn message_names(files: &dyn Files, paths: &[String]) -> Result<BTreeSet<String>, Vec<Problem>> {
    let mut loader = Loader { files, parsed: HashMap::new(), bytes: 0, problems: Vec::new() };
    for path in paths {
        let path = resolve("", path).map_err(|fault| vec![not_a_path(path, fault)])?;
        if !loader.parsed.contains_key(&path) {
            loader.read_all(&path);
        }
        if !loader.problems.is_empty() {
            return Err(loader.problems);
        }
    }
    let mut names = BTreeSet::new();
    for Parsed { descriptor, .. } in loader.parsed.values() {
        // How deep messages nest was bounded when the file was read.
        let mut waiting: Vec<_> =
            descriptor.message_type.iter().map(|message| (descriptor.package().to_owned(), message)).collect();
        while let Some((scope, message)) = waiting.pop() {
            let name = if scope.is_empty() { message.name().to_owned() } else { format!("{scope}.{}", message.name()) };
            let own = |nested: &&DescriptorProto| !nested.options.as_ref().is_some_and(|options| options.map_entry());
            waiting.extend(message.nested_type.iter().filter(own).map(|nested| (name.clone(), nested)));
            names.insert(name);
        }
    }
    Ok(names)
}

impl Loader<'_> {
    /// Reads `path` and, file by file, all that is imported; imports are replaced by the paths they lead to.
    fn read_all(&mut self, path: &str) {
        if let Err(found) = self.read_from_package(path) {
            self.problems.extend(found);
            return;
        }
        let mut waiting = VecDeque::from([path.to_owned()]);
        while let Some(importer) = waiting.pop_front() {
            let imports = self.parsed.get(&importer).map(|p| p.descriptor.dependency.clone()).unwrap_or_default();
            if imports.len() > MOST_FILES {
                self.problem_at_import(&importer, MOST_FILES, Fault::too_many());
                return;
            }
            let mut resolved: Vec<String> = Vec::new();
            for (index, import) in imports.iter().enumerate() {
                match self.import(&importer, import) {
                    Ok((target, _)) if resolved.contains(&target) => {
                        let message = format!("`{}` is imported twice", shown(import));
                        let fault = Fault::import(message, "remove one of the two imports");
                        self.problem_at_import(&importer, index, fault);
                        resolved.push(target);
                    }
                    Ok((target, is_new)) => {
                        if is_new {
                            waiting.push_back(target.clone());
                        }
                        resolved.push(target);
                    }
                    Err(Refused::Here(fault)) => {
                        self.problem_at_import(&importer, index, fault);
                        resolved.push(import.clone());
                    }
                    Err(Refused::There(problems)) => {
                        self.problems.extend(problems);
                        resolved.push(import.clone());
                    }
                }
            }
            if let Some(parsed) = self.parsed.get_mut(&importer) {
                parsed.descriptor.dependency = resolved;
            }
            if self.problems.len() >= report::MOST {
                return;
            }
        }
    }

    /// The path that an import leads to, and whether it was met for the first time.
    fn import(&mut self, importer: &str, import: &str) -> Result<(String, bool), Refused> {
        let from_root = resolve("", import);
        let from_folder = resolve(parent(importer), import);
        let candidates = [&from_root, &from_folder];
        for candidate in candidates.into_iter().flatten() {
            if self.parsed.contains_key(candidate) {
                return Ok((candidate.clone(), false));
            }
            if self.files.kind(candidate) == Some(FileKind::File) {
                self.make_room()?;
                self.read_from_package(candidate).map_err(Refused::There)?;
                return Ok((candidate.clone(), true));
            }
        }
        if let Ok(file) = GoogleFileResolver::new().open_file(import) {
            self.make_room()?;
            self.parsed.insert(import.to_owned(), Parsed { source: None, descriptor: file.into() });
            return Ok((import.to_owned(), true));
        }
        let (Ok(from_root), Ok(from_folder)) = (&from_root, &from_folder) else {
            let fault = from_folder.err().or(from_root.err()).unwrap_or(PathFault::Outside);
            let message = format!("`{}` cannot be imported: {fault}", shown(import));
            let help = "import files of the package by their path from its root";
            return Err(Refused::Here(Fault::import(message, help)));
        };
        let message = format!("the imported file `{}` is not in the package", shown(import));
        let mut help = format!("add it as `{}`", shown(from_root));
        if from_folder != from_root {
            help.push_str(&format!(" or `{}`", shown(from_folder)));
        }
        help.push_str(", or correct the import");
        Err(Refused::Here(Fault::import(message, help)))
    }

    fn make_room(&self) -> Result<(), Refused> {
        if self.parsed.len() < MOST_FILES { Ok(()) } else { Err(Refused::Here(Fault::too_many())) }
    }

    fn read_from_package(&mut self, path: &str) -> Result<(), Vec<Problem>> {
        let about = |code, message: String, help: &str| vec![Problem::about_file(path, code, message, help)];
        match self.files.kind(path) {
            Some(FileKind::File) => {}
            None => {
                let help = "add the file, or correct the path in the manifest";
                return Err(about("proto-missing", format!("there is no `{}` in the package", shown(path)), help));
            }
            Some(_) => {
                let message = format!("`{}` is not a regular file of the package", shown(path));
                return Err(about("proto-unreadable", message, "put a proto file there"));
            }
        }
        let bytes = self.files.read(path, LONGEST_FILE).map_err(|why| {
            let message = format!("`{}` cannot be read: {why}", shown(path));
            about("proto-unreadable", message, "a proto may have 1 MiB and must be readable")
        })?;
        self.bytes += bytes.len();
        if self.bytes > LONGEST_TOGETHER {
            let message = "the proto files have more than 8 MiB together".to_owned();
            return Err(about("proto-too-large", message, "import only what the methods need"));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            about("proto-encoding", format!("`{}` is not UTF-8 text", shown(path)), "save it in the encoding UTF-8")
        })?;
        // Written by some editors on Windows; means nothing.
        let source = Source::new(path, text.strip_prefix('\u{feff}').unwrap_or(&text));
        if let Err(nesting::Fault { at, message, help }) = nesting::check(source.text()) {
            return Err(vec![source.error("proto-syntax", at, message, help)]);
        }
        let file = File::from_source(path, source.text()).map_err(|error| report::syntax(&source, &error))?;
        self.parsed.insert(path.to_owned(), Parsed { source: Some(source), descriptor: file.into() });
        Ok(())
    }

    fn problem_at_import(&mut self, importer: &str, index: usize, fault: Fault) {
        let Fault { code, message, help } = fault;
        let problem = match self.parsed.get(importer) {
            Some(Parsed { source: Some(source), descriptor }) => {
                source.error(code, import_span(source, descriptor, index), message, help)
            }
            _ => Problem::about_file(importer, code, message, help),
        };
        self.problems.push(problem);
    }

    /// The names of all files, each after those it imports.
    fn in_order(&self, path: &str) -> Result<Vec<String>, Vec<Problem>> {
        let mut order = Vec::new();
        // The way from `path` to the file in hand, with the import that is next in each.
        let mut way = vec![(path, 0)];
        while let Some((name, next)) = way.last_mut() {
            let (name, index) = (*name, *next);
            let Some(parsed) = self.parsed.get(name) else { break };
            *next += 1;
            match parsed.descriptor.dependency.get(index) {
                None => {
                    order.push(name.to_owned());
                    way.pop();
                }
                Some(import) if order.contains(import) => {}
                Some(import) if way.iter().any(|(on_way, _)| on_way == import) => {
                    let from = way.iter().position(|(on_way, _)| on_way == import).unwrap_or(0);
                    let names: Vec<_> = way[from..].iter().map(|(name, _)| shown(name)).collect();
                    let message = format!("files import each other: {} → {}", names.join(" → "), shown(import));
                    let help = "move what both need to a third file";
                    let problem = match &parsed.source {
                        Some(source) => {
                            let at = import_span(source, &parsed.descriptor, index);
                            source.error("proto-import-cycle", at, message, help)
                        }
                        None => Problem::about_file(name, "proto-import-cycle", message, help),
                    };
                    return Err(vec![problem]);
                }
                Some(import) => way.push((import, 0)),
            }
        }
        Ok(order)
    }
}

/// Why an import leads nowhere.
enum Refused {
    /// It is the import that is wrong.
    Here(Fault),
    /// It is the imported file.
    There(Vec<Problem>),
}

/// What is wrong with an import.
struct Fault {
    code: &'static str,
    message: String,
    help: String,
}

impl Fault {
    fn import(message: String, help: impl Into<String>) -> Self {
        Self { code: "proto-import", message, help: help.into() }
    }

    fn too_many() -> Self {
        let message = format!("more than {MOST_FILES} files are imported");
        Self { code: "proto-too-large", message, help: "import only what the methods need".to_owned() }
    }
}

/// Where the import number `index` stands: a descriptor's field 3 (`dependency`), by its source information.
fn import_span(source: &Source, descriptor: &FileDescriptorProto, index: usize) -> Range<usize> {
    let path = [3, i32::try_from(index).unwrap_or(i32::MAX)];
    report::span_of_path(source.text(), descriptor, &path).unwrap_or(0..0)
}

fn not_a_path(path: &str, fault: PathFault) -> Problem {
    let message = format!("`{}` is not the path of a file in the package: {fault}", shown(path));
    Problem::about_file(shown(path), "proto-missing", message, "give the path from the package's root")
}

/// A path from a hostile file, fit for a message.
fn shown(path: &str) -> String {
    const LONGEST: usize = 120;
    let mut shown: String = path.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if path.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
