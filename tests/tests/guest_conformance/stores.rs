//! What outlives a message: configuration, objects, measurements, predictions, documents.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::Behaviour;
use super::messages::{contains, same};
use super::world::{World, command};

pub(crate) const ALL: &[Behaviour] = &[
    ("a setting is set and got; without a scope it is the node's", |w| {
        ok(w, &["set", "plain", "ä 🦀"])?;
        same(&value(w, &["get", "plain"])?.as_deref(), &Some("ä 🦀"))?;
        same(&value(w, &["get", "plain", "node"])?.as_deref(), &Some("ä 🦀"))?;
        same(&value(w, &["get", "plain", "workflow"])?, &None)
    }),
    ("a setting that nobody set is none", |w| same(&value(w, &["get", "nothing"])?, &None)),
    ("a setting may be the empty text", |w| {
        ok(w, &["set", "hollow", ""])?;
        same(&value(w, &["get", "hollow"])?.as_deref(), &Some(""))
    }),
    ("get looks in the node's scope, then the workflow's, then the project's", |w| {
        ok(w, &["set", "level", "project", "project"])?;
        same(&value(w, &["get", "level"])?.as_deref(), &Some("project"))?;
        ok(w, &["set", "level", "workflow", "workflow"])?;
        same(&value(w, &["get", "level"])?.as_deref(), &Some("workflow"))?;
        ok(w, &["set", "level", "node", "node"])?;
        same(&value(w, &["get", "level"])?.as_deref(), &Some("node"))?;
        same(&value(w, &["get", "level", "project"])?.as_deref(), &Some("project"))
    }),
    ("a node's settings are its own", |w| {
        ok(w, &["set", "mine", "x", "node"])?;
        same(&value(w, &["second", "get", "mine"])?, &None)
    }),
    ("a workflow's settings are its nodes', and no other's", |w| {
        ok(w, &["set", "ours", "x", "workflow"])?;
        same(&value(w, &["second", "get", "ours"])?.as_deref(), &Some("x"))?;
        same(&w.ask("Other", "get", &["ours"])?.text, "none")
    }),
    ("the project's settings are all nodes'", |w| {
        ok(w, &["set", "everybodys", "x", "project"])?;
        same(&w.ask("Other", "get", &["everybodys"])?.items, &vec!["x".to_owned()])
    }),
    ("a setting is deleted, and once more", |w| {
        ok(w, &["set", "gone", "x"])?;
        ok(w, &["delete", "gone"])?;
        same(&value(w, &["get", "gone"])?, &None)?;
        ok(w, &["delete", "gone"])?;
        ok(w, &["set", "gone", "x", "workflow"])?;
        ok(w, &["delete", "gone", "workflow"])?;
        same(&value(w, &["get", "gone", "workflow"])?, &None)
    }),
    ("a key that is none is refused", |w| {
        for order in [["get", "ä", ""], ["set", "", "x"], ["delete", ".dot", ""]] {
            let args: Vec<_> = order.into_iter().filter(|arg| !arg.is_empty() || order[0] == "set").collect();
            same(&told(w, &args)?, "error:invalid-key").with_context(|| format!("{order:?}"))?;
        }
        Ok(())
    }),
    ("a setting that is too large is refused with the limit", |w| {
        ok(w, &["set-large", "large", "1048576"])?;
        same(&told(w, &["set-large", "large", "1048577"])?, "error:too-large:1048576")
    }),
    ("an object is saved and got, byte for byte", |w| {
        let data: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let mut save = command("save", &["folder/ä.bin"]);
        save.data.clone_from(&data);
        same(&w.tell("Do", save)?.text, "ok")?;
        same(&w.ask("Do", "load", &["folder/ä.bin"])?.data, &data)
    }),
    ("an object may be empty, and is replaced", |w| {
        ok(w, &["save", "changing"])?;
        same(&w.ask("Do", "load", &["changing"])?.data, &Vec::<u8>::new())?;
        let mut save = command("save", &["changing"]);
        save.data = b"more".to_vec();
        w.tell("Do", save)?;
        same(&w.ask("Do", "load", &["changing"])?.data, b"more".as_slice())
    }),
    ("an object that is not there is not found", |w| {
        same(&told(w, &["load", "nothing"])?, "error:not-found")?;
        same(&told(w, &["remove", "nothing"])?, "error:not-found")
    }),
    ("objects are listed in order, all or those that match", |w| {
        ok(w, &["purge"]).or_else(|_| Ok::<_, anyhow::Error>(()))?;
        for name in ["b/2", "a/1", "b/1"] {
            ok(w, &["save", name])?;
        }
        same(&w.ask("Do", "list", &[])?.items, &["a/1", "b/1", "b/2"].map(str::to_owned).to_vec())?;
        same(&w.ask("Do", "list", &["^b/"])?.items, &["b/1", "b/2"].map(str::to_owned).to_vec())?;
        same(&w.ask("Do", "list", &["^c"])?.items, &Vec::<String>::new())
    }),
    ("objects are deleted, one or those that match, and counted", |w| {
        for name in ["p/1", "p/2", "p/3", "q"] {
            ok(w, &["save", name])?;
        }
        ok(w, &["remove", "p/1"])?;
        same(&told(w, &["purge", "^p/"])?, "2")?;
        same(&w.ask("Do", "list", &["^[pq]"])?.items, &vec!["q".to_owned()])?;
        ensure!(told(w, &["purge"])?.parse::<u32>()? >= 1);
        same(&w.ask("Do", "list", &[])?.items, &Vec::<String>::new())
    }),
    ("a name or a pattern that is none is refused", |w| {
        same(&told(w, &["save", ""])?, "error:invalid-name")?;
        same(&told(w, &["list", "("])?, "error:invalid-name")?;
        same(&told(w, &["purge", "("])?, "error:invalid-name")
    }),
    ("a node without an object store is told so", |w| {
        for name in ["save", "load", "list", "remove", "purge"] {
            same(&told(w, &["second", name, "x"])?, "error:not-declared").with_context(|| name)?;
        }
        Ok(())
    }),
    ("a measurement reaches the database with fields of every type, its tags and its time", |w| {
        ok(w, &["measure", "timed", "1700000000123456789"])?;
        let (_, line) = w.influx.line(|line| line.starts_with("timed,"));
        for part in [
            "float=1.5",
            "signed=-2i",
            "unsigned=3",
            "boolean=t",
            "text=\"ä b\"",
            "kind=x\\ y",
            "node=worker",
            "workflow=main",
        ] {
            contains(&line, part)?;
        }
        let time: u128 = line.rsplit(' ').next().unwrap_or_default().parse()?;
        ensure!(time.abs_diff(1_700_000_000_123_456_789) <= w.times_within, "{line}");
        ok(w, &["measure", "now"])?;
        let (_, line) = w.influx.line(|line| line.starts_with("now,"));
        let time: u128 = line.rsplit(' ').next().unwrap_or_default().parse()?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
        ensure!(now.abs_diff(time) < 60_000_000_000, "{line}");
        Ok(())
    }),
    ("a measurement without a field, a name or a number is refused", |w| {
        same(&told(w, &["measure-nan", "x"])?, "error:invalid")?;
        same(&told(w, &["measure-nothing", "x"])?, "error:invalid")?;
        same(&told(w, &["measure", ""])?, "error:invalid")
    }),
    ("predictions are saved beside the truth, with what goes with them", |w| {
        ok(w, &["predict", "späm", "ham"])?;
        ok(w, &["predict", "ham", "ham", r#"{"model": 3}"#, "1700000000"])?;
        let found = find(w, "classificationMetrics", r#"{"predictedValue": {"$in": ["späm", "ham"]}}"#)?;
        let brief: Vec<_> = found.iter().map(|p| (p["predictedValue"].clone(), p["trueValue"].clone())).collect();
        same(&brief, &vec![(json!("späm"), json!("ham")), (json!("ham"), json!("ham"))])?;
        same(&found[1]["extra"], &json!({"model": 3}))?;
        contains(&found[1]["date"].to_string(), "2023-11-14T22:13:20")
    }),
    ("that there was no prediction is saved, with why", |w| {
        ok(w, &["mispredict", "missing-values"])?;
        ok(w, &["mispredict", "new-labels"])?;
        let found = find(w, "classificationMetrics", r#"{"error": {"$ne": ""}}"#)?;
        let errors: Vec<_> = found.iter().map(|p| p["error"].as_str().unwrap_or_default()).collect();
        same(&errors, &vec!["missing_values", "new_labels"])
    }),
    ("a prediction with too long a label is refused", |w| {
        same(&told(w, &["predict", &"x".repeat(5000), "ham"])?, "error:invalid")
    }),
    ("documents are saved and found", |w| {
        same(&w.ask("Do", "find", &["mails", "{}"])?.items, &Vec::<String>::new())?;
        ok(w, &["document", "mails", r#"{"n": 1, "from": {"name": "ä 🦀"}, "list": [1.5, true, null]}"#])?;
        ok(w, &["document", "mails", r#"{"n": 2}"#])?;
        let found = find(w, "mails", r#"{"from.name": "ä 🦀"}"#)?;
        same(&found.len(), &1)?;
        same(&(&found[0]["n"], &found[0]["list"]), &(&json!(1), &json!([1.5, true, null])))?;
        same(&find(w, "mails", r#"{"n": {"$gte": 1}}"#)?.len(), &2)
    }),
    ("a collection or a query that is none is refused", |w| {
        same(&told(w, &["document", "$cmd", "{}"])?, "error:invalid")?;
        same(&told(w, &["find", "system.users", "{}"])?, "error:invalid")?;
        same(&told(w, &["find", "mails", r#"{"$where": "1"}"#])?, "error:invalid")
    }),
];

/// What node `worker` answers to a command, as text; `second` before it is for that node.
fn told(w: &mut World, order: &[&str]) -> anyhow::Result<String> {
    Ok(w.ask("Do", order[0], &order[1..])?.text)
}

fn ok(w: &mut World, order: &[&str]) -> anyhow::Result<()> {
    same(&told(w, order)?, "ok")
}

fn value(w: &mut World, order: &[&str]) -> anyhow::Result<Option<String>> {
    let answer = w.ask("Do", order[0], &order[1..])?;
    match answer.text.as_str() {
        "value" => Ok(answer.items.into_iter().next()),
        "none" => Ok(None),
        other => anyhow::bail!("neither a value nor none: {other}"),
    }
}

fn find(w: &mut World, collection: &str, query: &str) -> anyhow::Result<Vec<Value>> {
    let items = w.ask("Do", "find", &[collection, query])?.items;
    items.iter().map(|item| serde_json::from_str(item).context("not JSON")).collect()
}
