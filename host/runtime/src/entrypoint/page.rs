//! The status page: one self-contained HTML document, made of the topology and the routes. Pure.

use std::fmt::Write as _;

use krt::topology::{NodeKind, Topology};

use super::json;
use super::routes::Routes;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1a1a1a;background:#fff}code,pre{font:14px/1.5 ui-monospace,monospace;background:#f3f3f3;border-radius:4px}\
code{padding:.1em .3em}pre{padding:.8em;overflow-x:auto}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
.ok{color:#06670e}.bad{color:#a30000}@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}\
code,pre{background:#262626}th,td{border-color:#333}a{color:#8ab4ff}.ok{color:#6fd07a}.bad{color:#ff8b80}}";

/// What the page shows.
pub(super) struct Shown<'a> {
    pub(super) topology: &'a Topology,
    pub(super) routes: &'a Routes,
    pub(super) sources: &'a [&'a str],
    /// What is not ready; none when calls can be answered.
    pub(super) waiting: Option<Vec<String>>,
    pub(super) in_flight: usize,
}

/// The page.
pub(super) fn status(shown: &Shown<'_>) -> String {
    let version = escape(&shown.topology.version);
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{version} – krt</title><style>{STYLE}</style><h1>{version}</h1>"
    );
    put(&mut html, &format!("<p>{}</p>", escape(&shown.topology.description)));
    let state = match &shown.waiting {
        None => "<span class=ok>ready</span>".to_owned(),
        Some(parts) => format!("<span class=bad>not ready</span> (waiting for: {})", escape(&parts.join(", "))),
    };
    put(&mut html, &format!("<p>{state} · {} calls in flight · <a href=/metrics>metrics</a></p>", shown.in_flight));
    for workflow in &shown.topology.workflows {
        put(&mut html, &format!("<h2>Workflow {}</h2>", escape(&workflow.name)));
        if let Some(route) = shown.routes.workflows().find(|route| route.workflow == workflow.name) {
            let (path, template) = (escape(&route.path), escape(&json::template(&route.input)));
            put(
                &mut html,
                &format!(
                    "<p><code>{path}</code>: <code>{}</code> → <code>{}</code></p>\
                     <pre>curl -d '{template}' localhost:8080{path}\nkrt call {} '{template}'</pre>",
                    escape(route.input.full_name()),
                    escape(route.output.full_name()),
                    escape(&workflow.method),
                ),
            );
        }
        put(&mut html, "<table><tr><th>Node<th>Reads<th>Made of<th>Replicas</tr>");
        for (index, node) in workflow.nodes.iter().enumerate() {
            let reads: Vec<_> = node
                .subscriptions
                .iter()
                .map(|s| match &s.channel {
                    None => workflow.origin_name(s.origin).to_owned(),
                    Some(channel) => format!("{}.{channel}", workflow.origin_name(s.origin)),
                })
                .collect();
            let exit = if index == workflow.exitpoint { " → answer" } else { "" };
            let made = match &node.kind {
                NodeKind::Wasm(_) => node.src.clone(),
                NodeKind::Native { image } => format!("{} in {image}", node.src),
            };
            put(
                &mut html,
                &format!(
                    "<tr><td>{}{exit}<td>{}<td>{}<td>{}</tr>",
                    escape(&node.name),
                    escape(&reads.join(", ")),
                    escape(&made),
                    node.replicas
                ),
            );
        }
        put(&mut html, "</table>");
    }
    put(&mut html, &format!("<h2>Proto</h2>{}", listing(shown.sources)));
    html
}

/// Links to the `.proto` files.
pub(super) fn listing(sources: &[&str]) -> String {
    let mut html = "<ul>".to_owned();
    for path in sources {
        let path = escape(path);
        put(&mut html, &format!("<li><a href=\"/proto/{path}\">{path}</a></li>"));
    }
    html + "</ul>"
}

fn put(html: &mut String, text: &str) {
    // Writing to a String does not fail.
    let _ = html.write_str(text);
}

/// Text as HTML, also within quotes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_from_the_manifest_cannot_become_markup() {
        assert_eq!(super::escape("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
    }
}
