//! Runs the `krt` command as users do, under bounds of time and memory. Asserts only what holds for every command.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// No command that only looks at a version takes longer, whatever it is given.
pub const TIME: Duration = Duration::from_secs(5);

/// Address space, which is more than what is resident: 500 MB.
const MEMORY_KIB: u32 = 500_000_000 / 1024;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs a command to its end, however long it takes.
///
/// # Panics
/// When it does not start, is killed, or prints what is no text.
pub fn ran(command: &mut std::process::Command) -> Ran {
    let output = command.output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().unwrap_or_else(|| panic!("{}: {command:?}", output.status));
    Ran { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs `krt` with `arguments` in `folder` to its end, within [`TIME`] and 500 MB.
///
/// # Panics
/// When it takes longer, is killed, or panics.
pub async fn krt(folder: &Path, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Ran {
    let binary = crate::krt_binary();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -v {MEMORY_KIB} && exec \"$@\""), "sh"])
        .arg(binary)
        .args(arguments)
        .current_dir(folder)
        // A backtrace would show.
        .env("RUST_BACKTRACE", "1")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    let output = tokio::time::timeout(TIME, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("not done within {TIME:?}: {shown}")).expect("sh starts");
    let ran = Ran {
        code: output.status.code().unwrap_or_else(|| panic!("{}: {shown}", output.status)),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    };
    for sign in ["panicked", "stack backtrace", "RUST_BACKTRACE", "memory allocation", "overflowed its stack"] {
        assert!(!ran.stderr.contains(sign), "{shown}: {ran:#?}");
    }
    ran
}
