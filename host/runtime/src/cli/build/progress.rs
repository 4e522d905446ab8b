//! What a person sees while something is built: a spinner on a terminal, a line a step elsewhere.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Globals, Output};

/// Where progress goes.
pub(super) struct Progress {
    spinner: Option<ProgressBar>,
    /// The step in hand.
    step: Mutex<String>,
    /// Show what the commands say, line by line.
    verbose: bool,
}

/// What a command left.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Progress {
    pub(super) fn new(globals: &Globals) -> Self {
        let verbose = globals.verbose > 0;
        let spinner = (std::io::stderr().is_terminal() && globals.output == Output::Text && !verbose).then(|| {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4}  {wide_msg}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        Self { spinner, step: Mutex::default(), verbose }
    }

    /// A new step begins.
    pub(super) fn step(&self, what: &str) {
        match &self.spinner {
            Some(spinner) => spinner.set_message(what.to_owned()),
            None => eprintln!("{what}"),
        }
        what.clone_into(&mut self.step.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Shows what a compiler warned of, though it went well.
    pub(super) fn warn(&self, text: &str) {
        let text = text.trim_end();
        match &self.spinner {
            _ if text.is_empty() => {}
            Some(spinner) => spinner.suspend(|| eprintln!("{text}")),
            // Shown line by line already.
            None if self.verbose => {}
            None => eprintln!("{text}"),
        }
    }

    /// Whether the commands' own lines are shown: those of two would be mixed.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Leaves the terminal as it was.
    pub(super) fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }

    /// Runs a command to its end, showing what it says on standard error.
    pub(super) fn run(&self, mut command: Command) -> anyhow::Result<Ended> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let mut output = child.stdout.take().context("a piped standard output")?;
        let errors = child.stderr.take().context("a piped standard error")?;
        // Read at the same time: a command that fills one pipe waits for it to be emptied.
        let output = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).map(|_| bytes)
        });
        let mut stderr = String::new();
        for line in BufReader::new(errors).split(b'\n') {
            let line = line.with_context(|| format!("reading what {program} says"))?;
            let line = String::from_utf8_lossy(&line);
            self.show(&line);
            stderr.push_str(&line);
            stderr.push('\n');
        }
        let status = child.wait().with_context(|| format!("waiting for {program}"))?;
        let stdout = match output.join() {
            Ok(bytes) => bytes.with_context(|| format!("reading what {program} prints"))?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok(Ended { status, stdout: String::from_utf8_lossy(&stdout).into_owned(), stderr })
    }

    fn show(&self, line: &str) {
        match &self.spinner {
            // What the tool says last, behind what it is for; the terminal's width cuts it.
            Some(spinner) if !line.trim().is_empty() => {
                let last = without_colour(line);
                let step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
                spinner.set_message(format!("{step}: {}", last.trim()));
            }
            Some(_) => {}
            None if self.verbose => eprintln!("{line}"),
            None => {}
        }
    }
}

/// A line without its escape sequences.
pub(super) fn without_colour(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}
