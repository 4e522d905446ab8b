//! What a language's toolchain needs of a machine, and which of it is there.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::cli::build::Language;
use crate::cli::print;

/// A tool that a language needs.
struct Tool {
    name: &'static str,
    /// The command that says its version, or that ends well when it is there.
    command: &'static [&'static str],
    /// Major and minor version at least.
    at_least: Option<(u32, u32)>,
    /// What it is needed for.
    why: &'static str,
    /// The command that installs it, or where it is to be had.
    install: &'static str,
}

/// What was found. Serialises as `--output json` prints it.
#[derive(Debug, Serialize)]
struct Found {
    tool: &'static str,
    why: &'static str,
    /// As it tells it itself; none when it is not there.
    version: Option<String>,
    /// Whether it is there and new enough.
    ok: bool,
    /// What is wrong; none when nothing is.
    problem: Option<String>,
    install: &'static str,
}

/// The tools of one language.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) language: &'static str,
    pub(super) ok: bool,
    tools: Vec<Found>,
}

const CARGO: Tool = Tool {
    name: "cargo",
    command: &["cargo", "--version"],
    at_least: Some((1, 85)),
    why: "builds nodes",
    install: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
};

/// Ends well when the library's folder is there; rustc names one for targets that it does not have.
const WASI: Tool = Tool {
    name: "wasm32-wasip2",
    command: &["sh", "-c", "test -d \"$(rustc --print target-libdir --target wasm32-wasip2)\""],
    at_least: None,
    why: "the standard library of components",
    install: "rustup target add wasm32-wasip2",
};

const PYTHON: Tool = Tool {
    name: "python3",
    command: &["python3", "--version"],
    at_least: Some((3, 10)),
    why: "runs the toolchain",
    install: "apt-get install python3 python3-venv",
};

const VENV: Tool = Tool {
    name: "python3-venv",
    command: &["python3", "-c", "import venv, ensurepip"],
    at_least: None,
    why: "installs the toolchain",
    install: "apt-get install python3-venv",
};

const NODE: Tool = Tool {
    name: "node",
    command: &["node", "--version"],
    at_least: Some((18, 19)),
    why: "runs the toolchain and unit tests",
    install: "apt-get install nodejs",
};

const NPM: Tool = Tool {
    name: "npm",
    command: &["npm", "--version"],
    at_least: None,
    why: "installs the toolchain and packages",
    install: "apt-get install npm",
};

const GO: Tool = Tool {
    name: "go",
    command: &["go", "version"],
    at_least: Some((1, 21)),
    why: "builds nodes; one older than 1.26 brings that itself",
    install: "apt-get install golang-go (1.21 or newer), or https://go.dev/dl",
};

const MAKE: Tool = Tool {
    name: "make",
    command: &["make", "--version"],
    at_least: None,
    why: "runs unit tests",
    install: "apt-get install make",
};

const CC: Tool = Tool {
    name: "cc",
    command: &["cc", "--version"],
    at_least: None,
    why: "compiles unit tests",
    install: "apt-get install gcc",
};

fn tools(language: Language) -> Vec<Tool> {
    match language {
        Language::Rust => vec![CARGO, WASI],
        Language::Go => vec![GO],
        Language::JavaScript => vec![NODE, NPM],
        Language::Python => vec![PYTHON, VENV],
        Language::C => vec![PYTHON, VENV, CARGO, WASI, MAKE, CC],
    }
}

/// What there is of a language's tools.
pub(super) fn report(language: Language) -> Report {
    let tools: Vec<Found> = tools(language).iter().map(find).collect();
    Report { language: language.title(), ok: tools.iter().all(|tool| tool.ok), tools }
}

/// Asks a tool for its version.
fn find(tool: &Tool) -> Found {
    let mut command = Command::new(tool.command[0]);
    // Not where somebody's settings would have another version come.
    command.args(&tool.command[1..]).current_dir(Path::new("/")).stdin(Stdio::null()).stderr(Stdio::null());
    let said = match command.output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => return found(tool, None, Some("missing".to_owned())),
    };
    let version = version(&said);
    let problem = match (tool.at_least, version.as_deref().and_then(numbers)) {
        (Some(least), Some(is)) if is < least => Some(format!("too old: {}.{} or newer is needed", least.0, least.1)),
        _ => None,
    };
    found(tool, Some(version.unwrap_or_else(|| "there".to_owned())), problem)
}

fn found(tool: &Tool, version: Option<String>, problem: Option<String>) -> Found {
    Found { tool: tool.name, why: tool.why, version, ok: problem.is_none(), problem, install: tool.install }
}

/// The first word with a number and a dot, from its first digit on.
fn version(said: &str) -> Option<String> {
    let words = said.split_whitespace().filter(|word| word.contains('.'));
    let mut versions = words.filter_map(|word| word.find(|c: char| c.is_ascii_digit()).map(|at| &word[at..]));
    versions
        .next()
        .map(|word| word.chars().take_while(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)).take(40).collect())
}

/// Major and minor.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A line for each tool.
pub(super) fn lines(report: &Report) -> String {
    let row = |tool: &Found| {
        let state = tool.problem.as_deref().or(tool.version.as_deref()).unwrap_or_default();
        let help = if tool.ok { String::new() } else { format!("install: {}", tool.install) };
        let mark = if tool.ok { "ok" } else { "!!" };
        vec![mark.to_owned(), tool.tool.to_owned(), state.to_owned(), tool.why.to_owned(), help]
    };
    print::columns(&report.tools.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_tools_say() {
        for (said, expected) in [
            ("cargo 1.95.0 (f2d3ce0bd 2026-03-21)", (1, 95)),
            ("Python 3.11.2", (3, 11)),
            ("v20.19.2", (20, 19)),
            ("go version go1.26.1 linux/amd64", (1, 26)),
        ] {
            assert_eq!(version(said).as_deref().and_then(numbers), Some(expected), "{said}");
        }
        assert_eq!(version("nothing of the kind"), None);
    }

    #[test]
    fn what_is_missing_or_too_old_is_said_with_the_command_that_installs_it() {
        let missing = Tool { name: "no", command: &["krt-no-such-tool"], at_least: None, why: "x", install: "get no" };
        const OLD: Tool =
            Tool { name: "old", command: &["echo", "old 1.2.3"], at_least: Some((1, 3)), why: "x", install: "get old" };
        let new = Tool { at_least: Some((1, 2)), name: "new", install: "get new", ..OLD };
        let tools: Vec<_> = [missing, OLD, new].iter().map(find).collect();
        assert_eq!(tools.iter().map(|tool| tool.ok).collect::<Vec<_>>(), [false, false, true]);
        let text = lines(&Report { language: "Test", ok: false, tools });
        assert!(text.contains("!!  no   missing") && text.contains("install: get no"), "{text}");
        assert!(text.contains("too old: 1.3 or newer is needed") && text.contains("install: get old"), "{text}");
        assert!(!text.contains("get new"), "{text}");
    }
}
