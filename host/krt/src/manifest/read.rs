//! From the tree to [`Krt`], section by section.

use std::ops::Range;

use super::fields::{Cursor, Fields, Unknown};
use super::text::text;
use super::tree::{Data, Id, Tree};
use super::{
    Allow, At, Build, ByName, Config, Entrypoint, Krt, Messages, Node, ObjectStore, Reading, Recipe, Retry, Types,
    Wasm, Workflow,
};
use crate::problem::{Report, quote};
use crate::topology::DEFAULT;

/// Reads a manifest, however wrong it is. `file` is its name for problems.
pub fn read(file: &str, bytes: &[u8]) -> Reading {
    let (source, unreadable) = text(file, bytes);
    if let Some(problem) = unreadable {
        return Reading { manifest: None, problems: vec![problem], beyond: 0, source, complete: false };
    }
    let mut report = Report::new(&source);
    let tree = Tree::build(source.text(), &mut report);
    let root = tree.root.filter(|root| !tree.get(*root).is_null());
    let (manifest, (problems, beyond)) = match root {
        Some(root) => {
            let mut cursor = Cursor { tree: &tree, report };
            (cursor.krt(root), cursor.report.pause())
        }
        None => {
            if tree.complete {
                report.error("empty", 0..0, "the manifest is empty", "begin with `version: <name>`");
            }
            (None, report.pause())
        }
    };
    let complete = tree.complete;
    Reading { manifest, problems, beyond, complete, source }
}

impl<'t> Cursor<'t, '_> {
    fn krt(&mut self, root: Id) -> Option<Krt> {
        let mut fields = self.mapping(root, 0..0, "the manifest".to_owned())?;
        let krt_version = self.optional(&mut fields, "krtVersion");
        let version = self.required(&mut fields, "version", "give the version a name: `version: my-version-v1`");
        let description = self.required(&mut fields, "description", "say in a sentence what the version does");
        let entrypoint = self.section(&mut fields, "entrypoint").map(|(section, _)| self.entrypoint(section));
        let config = self.section(&mut fields, "config").map(|(section, _)| self.config(section));
        let workflows = self.workflows(&mut fields);
        if let Some(at) = fields.has("nodes") {
            let help =
                "in KRT v2 nodes stand in the workflow they belong to, and say with `subscriptions` what they read";
            self.report.warning("krt-v1", at, "`nodes` beside `workflows` are of KRT v1", help);
        }
        fields.know(&["nodes"]);
        self.finish(fields, Unknown::Ignored);
        Some(Krt { krt_version, version, description, entrypoint, config, workflows })
    }

    fn entrypoint(&mut self, mut fields: Fields<'t>) -> Entrypoint {
        let proto = self.required(
            &mut fields,
            "proto",
            "name the `.proto` with service Entrypoint: `proto: public_input.proto`",
        );
        let image = self.optional(&mut fields, "image");
        self.finish(fields, Unknown::Ignored);
        Entrypoint { proto, image }
    }

    fn config(&mut self, mut fields: Fields<'t>) -> Config {
        let config =
            Config { variables: self.texts(&mut fields, "variables"), files: self.texts(&mut fields, "files") };
        self.finish(fields, Unknown::Ignored);
        config
    }

    fn workflows(&mut self, fields: &mut Fields<'t>) -> Vec<Workflow> {
        let help = "a version has at least one workflow: a list item with name, entrypoint, exitpoint and nodes";
        self.mappings(fields, "workflows", "workflow", help).into_iter().map(|fields| self.workflow(fields)).collect()
    }

    fn workflow(&mut self, mut fields: Fields<'t>) -> Workflow {
        let name = self.required(&mut fields, "name", "name the workflow: `name: my-workflow`");
        let entrypoint = self.required(
            &mut fields,
            "entrypoint",
            "name the gRPC method that this workflow answers: `entrypoint: Classify`",
        );
        let exitpoint = self.required(
            &mut fields,
            "exitpoint",
            "name the node whose output answers the caller: `exitpoint: exitpoint`",
        );
        let help = "a workflow has at least one node: a list item with name, src and subscriptions";
        let nodes =
            self.mappings(&mut fields, "nodes", "node", help).into_iter().map(|fields| self.node(fields)).collect();
        self.finish(fields, Unknown::Ignored);
        Workflow { name, entrypoint, exitpoint, nodes }
    }

    fn node(&mut self, mut fields: Fields<'t>) -> Node {
        let name = self.required(&mut fields, "name", "name the node: `name: my-node`");
        let image = self.optional(&mut fields, "image");
        let src =
            self.required(&mut fields, "src", "give the path of its component, script or binary: `src: bin/node.wasm`");
        let gpu = self.truth(&mut fields, "gpu");
        let replicas = self.integer(&mut fields, "replicas");
        let subscriptions = self.texts(&mut fields, "subscriptions");
        if subscriptions.is_empty() {
            self.nothing(
                &fields,
                "subscriptions",
                "say what the node reads: `subscriptions: [entrypoint]`, or the name of a node",
            );
        }
        let object_store = self.section(&mut fields, "objectStore").map(|(section, _)| self.object_store(section));
        let types = self.section(&mut fields, "types").map(|(section, _)| self.types(section));
        let wasm = self.section(&mut fields, "wasm").map(|(section, key)| At::new(self.wasm(section), key));
        self.finish(fields, Unknown::Ignored);
        Node { name, image, src, gpu, replicas, subscriptions, object_store, types, wasm }
    }

    fn object_store(&mut self, mut fields: Fields<'t>) -> ObjectStore {
        let name = self.required(&mut fields, "name", "name the object store: `name: my-store`");
        let scope = self.optional(&mut fields, "scope");
        self.finish(fields, Unknown::Ignored);
        ObjectStore { name, scope }
    }

    fn types(&mut self, mut fields: Fields<'t>) -> Types {
        let types = Types {
            accepts: self.by_name(&mut fields, "accepts"),
            emits: self.by_name(&mut fields, "emits"),
            early: match self.take(&mut fields, "early") {
                Some((id, key_at)) => self.messages(id, key_at, &format!("`early` of {}", fields.what)),
                None => Messages::default(),
            },
        };
        self.finish(fields, Unknown::Refused);
        types
    }

    /// Messages by name; without names they are those of `default`.
    fn by_name(&mut self, fields: &mut Fields<'t>, key: &'static str) -> ByName {
        let Some((id, key_at)) = self.take(fields, key) else { return ByName::default() };
        let what = format!("`{key}` of {}", fields.what);
        let Data::Map(_) = self.tree.get(id).data else {
            let messages = self.messages(id, key_at.clone(), &what);
            return ByName(vec![(At::new(DEFAULT.to_owned(), key_at), messages)]);
        };
        let Some(fields) = self.mapping(id, key_at, what) else { return ByName::default() };
        let entries = fields.entries().map(|(name, at, id)| {
            let what = format!("{} in {}", quote(name), fields.what);
            (At::new(name.to_owned(), at.clone()), self.messages(id, at, &what))
        });
        ByName(entries.collect())
    }

    /// One message, or a list of them.
    fn messages(&mut self, id: Id, fallback: Range<usize>, what: &str) -> Messages {
        let Data::List(items) = &self.tree.get(id).data else {
            return Messages(self.text(id, fallback, what).into_iter().collect());
        };
        if items.is_empty() {
            let help = "name a message, as in `package.Message`, or leave the key out";
            self.report.error("missing-key", fallback, format!("{what} names no message"), help);
        }
        let what = format!("each of {what}");
        Messages(items.iter().filter_map(|id| self.text(*id, self.tree.get(*id).at.clone(), &what)).collect())
    }

    fn wasm(&mut self, mut fields: Fields<'t>) -> Wasm {
        let wasm = Wasm {
            memory: self.optional(&mut fields, "memory"),
            timeout: self.optional(&mut fields, "timeout"),
            concurrency: self.integer(&mut fields, "concurrency"),
            instance: self.optional(&mut fields, "instance"),
            retry: self.section(&mut fields, "retry").map(|(section, _)| self.retry(section)),
            allow: self.section(&mut fields, "allow").map(|(section, _)| self.allow(section)),
            build: self.build(&mut fields),
        };
        self.finish(fields, Unknown::Refused);
        wasm
    }

    fn retry(&mut self, mut fields: Fields<'t>) -> Retry {
        let retry = Retry {
            attempts: self.integer(&mut fields, "attempts"),
            backoff: self.optional(&mut fields, "backoff"),
            backoff_max: self.optional(&mut fields, "backoffMax"),
        };
        self.finish(fields, Unknown::Refused);
        retry
    }

    fn allow(&mut self, mut fields: Fields<'t>) -> Allow {
        let allow = Allow { http: self.texts(&mut fields, "http"), tcp: self.texts(&mut fields, "tcp") };
        self.finish(fields, Unknown::Refused);
        allow
    }

    fn build(&mut self, fields: &mut Fields<'t>) -> Option<Build> {
        let (id, key_at) = self.take(fields, "build")?;
        let what = format!("`build` of {}", fields.what);
        if let Data::Scalar { .. } = self.tree.get(id).data {
            return self.text(id, key_at, &what).map(Build::Source);
        }
        let mut fields = self.mapping(id, key_at, what)?;
        let recipe = Recipe {
            source: self.required(&mut fields, "source", "name the source folder: `source: nodes/etl`"),
            command: self.optional(&mut fields, "command"),
            output: self.optional(&mut fields, "output"),
        };
        self.finish(fields, Unknown::Refused);
        Some(Build::Recipe(recipe))
    }

    /// The mappings of a list that must not be empty, each called `kind` and its name.
    fn mappings(&mut self, fields: &mut Fields<'t>, key: &'static str, kind: &str, help: &str) -> Vec<Fields<'t>> {
        let items = self.list(fields, key).map_or(&[][..], |(items, _)| items);
        if items.is_empty() {
            self.nothing(fields, key, help);
        }
        let mut mappings = Vec::with_capacity(items.len());
        for (index, id) in items.iter().enumerate() {
            let what = match self.name_of(*id) {
                Some(name) => format!("{kind} {}", quote(name)),
                None => format!("{kind} number {}", index + 1),
            };
            mappings.extend(self.mapping(*id, fields.at.clone(), what));
        }
        mappings
    }

    /// Says that a list is missing or has nothing in it.
    fn nothing(&mut self, fields: &Fields<'t>, key: &'static str, help: &str) {
        match fields.empty_list(key, self.tree) {
            Some(at) => self.report.error("missing-key", at, format!("`{key}` of {} is empty", fields.what), help),
            None => self.missing(fields, key, help),
        }
    }

    fn name_of(&self, id: Id) -> Option<&'t str> {
        let Data::Map(pairs) = &self.tree.get(id).data else { return None };
        pairs.iter().find_map(|(key, value)| match (&self.tree.get(*key).data, &self.tree.get(*value).data) {
            (Data::Scalar { text: key, .. }, Data::Scalar { text, .. }) if key == "name" && !text.is_empty() => {
                Some(&**text)
            }
            _ => None,
        })
    }
}
