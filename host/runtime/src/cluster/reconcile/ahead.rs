//! Components that are compiled beforehand: one package at a time, beside the reconciler, which is told when one is done. Never
//! compiles anything itself, and remembers only what is not in the resource's status.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::ObjectRef;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;

use super::package::{Built, PackageError, Packages};
use super::watch::Pokes;
use crate::artifact::Reference;
use crate::cluster::crd::Version;

/// Outcomes that are remembered.
const REMEMBERED: usize = 1024;

/// What is to be compiled, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) package: Reference,
    pub(super) runtime_id: String,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// Others are before it.
    Waiting,
    /// It is being compiled.
    UnderWay,
    /// It is done.
    Done(Built),
    /// It has to be tried again.
    Failed(PackageError),
}

struct State {
    progress: Progress,
    /// Versions that look at it: nothing is compiled for nobody.
    wanted_by: BTreeSet<(String, String)>,
    task: Option<AbortHandle>,
}

/// All that is being compiled, and was.
pub(super) struct Ahead {
    packages: Arc<dyn Packages>,
    pokes: Arc<Pokes>,
    turn: Semaphore,
    jobs: Mutex<HashMap<Job, State>>,
}

impl Ahead {
    pub(super) fn new(packages: Arc<dyn Packages>, pokes: Arc<Pokes>) -> Arc<Self> {
        Arc::new(Self { packages, pokes, turn: Semaphore::new(1), jobs: Mutex::default() })
    }

    /// How far `job` is, which is begun if it was not; the version is poked when that changes. A failure is told once: who asks
    /// again begins again.
    pub(super) fn look(self: &Arc<Self>, job: &Job, namespace: &str, name: &str) -> Progress {
        let mut jobs = self.lock();
        let who = (namespace.to_owned(), name.to_owned());
        if let Some(state) = jobs.get_mut(job) {
            let progress = state.progress.clone();
            if matches!(progress, Progress::Failed(_)) {
                jobs.remove(job);
            } else {
                state.wanted_by.insert(who);
            }
            return progress;
        }
        if jobs.len() >= REMEMBERED {
            jobs.retain(|_, state| matches!(state.progress, Progress::Waiting | Progress::UnderWay));
        }
        let (ahead, what) = (self.clone(), job.clone());
        let task = tokio::spawn(async move { ahead.work(what).await }).abort_handle();
        let state = State { progress: Progress::Waiting, wanted_by: BTreeSet::from([who]), task: Some(task) };
        jobs.insert(job.clone(), state);
        Progress::Waiting
    }

    /// A version does not run any more: what is compiled for it alone is given up.
    pub(super) fn leave(&self, namespace: &str, name: &str) {
        let who = (namespace.to_owned(), name.to_owned());
        self.lock().retain(|_, state| {
            let left = state.wanted_by.remove(&who) && state.wanted_by.is_empty();
            match &state.task {
                Some(task) if left => {
                    task.abort();
                    false
                }
                _ => true,
            }
        });
    }

    /// While who calls has it, nothing is compiled.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turn.acquire().await.ok()
    }

    /// What was compiled for versions of a runtime that have yet to say so. What nobody wants any more is forgotten.
    pub(super) fn kept(&self, runtime_id: &str) -> Vec<String> {
        let mut jobs = self.lock();
        jobs.retain(|job, state| {
            let is_done = matches!(state.progress, Progress::Done(_));
            job.runtime_id != runtime_id || !is_done || !state.wanted_by.is_empty()
        });
        let of_runtime = jobs.iter().filter(|(job, _)| job.runtime_id == runtime_id);
        let built = of_runtime.filter_map(|(_, state)| match &state.progress {
            Progress::Done(Built::All(all)) => Some(all.iter().map(|it| it.reference.clone())),
            _ => None,
        });
        built.flatten().collect()
    }

    async fn work(&self, job: Job) {
        let Ok(_turn) = self.turn.acquire().await else { return };
        self.set(&job, Progress::UnderWay);
        tracing::info!(package = %job.package, runtime_id = job.runtime_id, "compiling beforehand");
        let compiled = self.packages.compile(job.package.clone(), job.runtime_id.clone()).await;
        let progress = match compiled {
            Ok(built) => {
                if let Built::Not(why) = &built {
                    tracing::warn!(package = %job.package, why, "not compiled beforehand; pods compile for themselves");
                }
                Progress::Done(built)
            }
            Err(error) => Progress::Failed(error),
        };
        self.set(&job, progress);
    }

    fn set(&self, job: &Job, progress: Progress) {
        let who: Vec<(String, String)> = {
            let mut jobs = self.lock();
            let Some(state) = jobs.get_mut(job) else { return };
            if !matches!(progress, Progress::UnderWay) {
                state.task = None;
            }
            state.progress = progress;
            state.wanted_by.iter().cloned().collect()
        };
        for (namespace, name) in who {
            self.pokes.poke(ObjectRef::<Version>::new(&name).within(&namespace));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Job, State>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use tokio::sync::{mpsc, oneshot};

    use super::super::package::Read;
    use super::*;
    use crate::cluster::render::Compiled;

    type Answer = oneshot::Sender<Result<Built, PackageError>>;

    /// Compiles when told to; says what it has begun.
    struct Told(mpsc::UnboundedSender<(Reference, Answer)>);

    impl Packages for Told {
        fn read(&self, _: Reference) -> BoxFuture<'static, Result<Read, PackageError>> {
            Box::pin(std::future::pending())
        }

        fn engine(&self) -> &str {
            "e"
        }

        fn compile(&self, package: Reference, _: String) -> BoxFuture<'static, Result<Built, PackageError>> {
            let (answer, answered) = oneshot::channel();
            self.0.send((package, answer)).unwrap();
            Box::pin(async move { answered.await.unwrap() })
        }
    }

    fn job(digit: char) -> Job {
        let package = format!("nats://b/{}", digit.to_string().repeat(64)).parse().unwrap();
        Job { package, runtime_id: "kre".to_owned() }
    }

    #[tokio::test]
    async fn one_package_is_compiled_at_a_time_and_all_who_wait_for_it_are_told() {
        let (begun, mut begins) = mpsc::unbounded_channel();
        let pokes = Arc::new(Pokes::default());
        let mut poked = pokes.listen(None);
        let ahead = Ahead::new(Arc::new(Told(begun)), pokes);
        assert_eq!(ahead.look(&job('a'), "n", "v1"), Progress::Waiting);
        let (package, answer) = begins.recv().await.unwrap();
        assert_eq!(package, job('a').package);
        assert_eq!(poked.recv().await.unwrap().name, "v1");
        assert_eq!(ahead.look(&job('a'), "n", "v2"), Progress::UnderWay);
        assert_eq!(ahead.look(&job('b'), "n", "v3"), Progress::Waiting);
        tokio::task::yield_now().await;
        assert!(begins.try_recv().is_err(), "the second waits for the first");
        answer.send(Ok(Built::All(Vec::new()))).unwrap();
        let mut told = [poked.recv().await.unwrap().name, poked.recv().await.unwrap().name];
        told.sort();
        assert_eq!(told, ["v1", "v2"]);
        assert_eq!(ahead.look(&job('a'), "n", "v1"), Progress::Done(Built::All(Vec::new())));
        assert_eq!(begins.recv().await.unwrap().0, job('b').package);
    }

    #[tokio::test]
    async fn what_was_compiled_is_kept_for_versions_that_want_it_and_forgotten_with_the_last() {
        let (begun, mut begins) = mpsc::unbounded_channel();
        let ahead = Ahead::new(Arc::new(Told(begun)), Arc::default());
        ahead.look(&job('a'), "n", "v1");
        let (_, answer) = begins.recv().await.unwrap();
        let one = Compiled { src: "a".to_owned(), reference: "nats://b/n@sha256:0".to_owned() };
        answer.send(Ok(Built::All(vec![one.clone()]))).unwrap();
        // Nothing is compiled while somebody else has the turn.
        let turn = ahead.turn().await;
        assert_eq!(ahead.look(&job('a'), "n", "v1"), Progress::Done(Built::All(vec![one])));
        assert_eq!(ahead.kept("kre"), ["nats://b/n@sha256:0"]);
        assert_eq!(ahead.kept("other"), [""; 0]);
        ahead.leave("n", "v1");
        assert_eq!(ahead.kept("kre"), [""; 0]);
        assert_eq!(ahead.look(&job('a'), "n", "v2"), Progress::Waiting, "it is compiled anew");
        tokio::task::yield_now().await;
        assert!(begins.try_recv().is_err());
        drop(turn);
        begins.recv().await.unwrap();
    }

    #[tokio::test]
    async fn what_nobody_wants_any_more_is_given_up_and_a_failure_is_tried_again() {
        let (begun, mut begins) = mpsc::unbounded_channel();
        let ahead = Ahead::new(Arc::new(Told(begun)), Arc::default());
        ahead.look(&job('a'), "n", "v1");
        ahead.look(&job('a'), "n", "v2");
        let (_, answer) = begins.recv().await.unwrap();
        ahead.leave("n", "v1");
        assert!(!answer.is_closed(), "another wants it");
        ahead.leave("n", "v2");
        let mut answer = answer;
        answer.closed().await;
        ahead.look(&job('b'), "n", "v3");
        let (_, answer) = begins.recv().await.unwrap();
        answer.send(Err(PackageError::Away("no".to_owned()))).unwrap();
        while ahead.look(&job('b'), "n", "v3") != Progress::Failed(PackageError::Away("no".to_owned())) {
            tokio::task::yield_now().await;
        }
        assert_eq!(ahead.look(&job('b'), "n", "v3"), Progress::Waiting);
        assert_eq!(begins.recv().await.unwrap().0, job('b').package);
    }
}
