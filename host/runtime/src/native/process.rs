//! One child process in a group of its own: started, asked to end, made to end. Nothing of it outlives this process.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::Level;

use super::lines::Voice;

/// Time for what a program has said last to be read, once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Starts processes, all from one thread.
///
/// The kernel kills a child when the *thread* that started it ends: that is how children go even when this process is
/// killed. A thread of the async runtime would not do: it may end at any time.
#[derive(Debug, Clone)]
pub struct Spawner(mpsc::Sender<Start>);

struct Start {
    command: Command,
    answer: oneshot::Sender<io::Result<Child>>,
}

/// A process that runs. Dropped, its whole group is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Group,
    output: JoinSet<()>,
    /// The thread that started it must not end before it.
    _spawner: Spawner,
}

/// How a process ended.
pub type Ended = io::Result<ExitStatus>;

/// The processes that a child has started, itself included, as long as any may be left. Killed on drop.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Spawner {
    /// A thread that starts processes.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Start>();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("krt-spawner".to_owned()).spawn(move || {
            let _entered = runtime.enter();
            for Start { mut command, answer } in receiver {
                // Nobody waits any more: the process is killed on drop.
                let _ = answer.send(command.spawn());
            }
        })?;
        Ok(Self(sender))
    }

    /// Starts `command` with `environment` and no other, and logs what it says as `voice`'s.
    ///
    /// # Errors
    /// It does not start.
    pub(super) async fn start(
        &self,
        command: &[String],
        environment: &[(OsString, OsString)],
        voice: Arc<Voice>,
    ) -> io::Result<Process> {
        let mut words = command.iter();
        let mut command = Command::new(words.next().ok_or(io::ErrorKind::InvalidInput)?);
        command.args(words).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        let mut process = self.spawn(command).await?;
        let (stdout, stderr) = (process.child.stdout.take(), process.child.stderr.take());
        let listener = voice.clone();
        stdout.map(|stream| process.output.spawn(async move { listener.speak(stream, Level::INFO).await }));
        stderr.map(|stream| process.output.spawn(async move { voice.speak(stream, Level::WARN).await }));
        Ok(process)
    }

    /// Starts `command` in a group of its own, its output piped, its input empty.
    ///
    /// # Errors
    /// It does not start.
    pub async fn spawn(&self, mut command: Command) -> io::Result<Process> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        die_with_parent(&mut command);
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes has ended");
        self.0.send(Start { command, answer }).map_err(|_| gone())?;
        let child = answered.await.map_err(|_| gone())??;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).ok_or_else(gone)?;
        Ok(Process { child, group: Group(Some(pid)), output: JoinSet::new(), _spawner: self.clone() })
    }
}

impl Process {
    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until the program has ended by itself, and ends what it has left behind.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn ended(&mut self) -> Ended {
        let status = self.child.wait().await;
        self.group.signal(Signal::KILL);
        self.group.0 = None;
        let read = async { while self.output.join_next().await.is_some() {} };
        // Someone who left the group may hold the pipes open for ever.
        let _ = tokio::time::timeout(LAST_WORDS, read).await;
        status
    }

    /// Asks the program to end, and makes it after `grace`.
    pub async fn stop(mut self, grace: Duration) -> Ended {
        self.group.signal(Signal::TERM);
        if tokio::time::timeout(grace, self.child.wait()).await.is_err() {
            self.group.signal(Signal::KILL);
        }
        self.ended().await
    }
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // Nobody is left: as wanted.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before that was said.
        if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    };
    // SAFETY: between fork and exec only two system calls are made; nothing is allocated and no lock is taken.
    unsafe { command.pre_exec(prepare) };
}

/// Elsewhere the kernel has no such word: children end when this process ends in an orderly way.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command) {}
