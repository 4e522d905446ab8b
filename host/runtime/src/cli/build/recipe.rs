//! Nodes in whatever has a command that leaves a component: the manifest names both.

use std::process::Command;

use super::progress::Progress;
use super::{Failure, Job, Made, Options, names};

/// Runs the command of these nodes once.
pub(super) fn build(
    source: &str,
    command: &str,
    jobs: Vec<Job>,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<(Vec<Made>, Option<Failure>)> {
    let folder = options.root.join(source);
    progress.step(&format!("building {} with {command}", names(&jobs).join(", ")));
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(&folder);
    shell.env("KRT_SDK", options.sdk.join("guest-sdk")).env("KRT_WIT", options.sdk.join("wit"));
    let ended = progress.run(shell)?;
    let command = format!("cd {} && {command}", folder.display());
    if !ended.status.success() {
        let message = format!("{}{}", ended.stdout, ended.stderr);
        return Ok((Vec::new(), Some(Failure { jobs, command, message })));
    }
    let mut made = Vec::new();
    let mut without = Vec::new();
    for job in jobs {
        let file = match &job.build.output {
            Some(output) => folder.join(output),
            // Without an output the command puts the component where it belongs.
            None => options.root.join(&job.src),
        };
        if file.is_file() {
            made.push(Made { job, file });
        } else {
            without.push((job, file));
        }
    }
    let Some((_, missing)) = without.first() else {
        return Ok((made, None));
    };
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let message = format!("{said}the command ended well but left no file {}", missing.display());
    let jobs = without.into_iter().map(|(job, _)| job).collect();
    Ok((made, Some(Failure { jobs, command, message })))
}
