//! What the pods of a version log: of those that are there, and, when it is followed, of those that come. Bounded by line; a
//! pod whose log cannot be had does not keep the others from being shown.

mod on;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::api::{Api, ListParams, LogParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::on::keep_reading;
use super::versions::{Next, Versions, VersionsError};

/// Bytes of a line that are shown; the rest of a longer one is left out.
const MAX_LINE: usize = 256 << 10;

/// Lines on their way from pods to who reads them.
const ON_THE_WAY: usize = 256;

/// One line of a pod's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `workflow/node`, or `entrypoint`.
    pub node: String,
    /// The pod.
    pub pod: String,
    /// The container, one that prepares the pod's work among them.
    pub container: String,
    /// The line; what is no UTF-8 in it is replaced.
    pub text: String,
}

/// Which logs.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Go on with what is logged from now on, by pods that come, too, until the version is gone.
    pub follow: bool,
    /// Only of this node (`node` or `workflow/node`).
    pub node: Option<String>,
    /// Lines of the past for each container.
    pub tail: Option<i64>,
    /// Only what was logged within this time.
    pub since: Option<Duration>,
    /// Of containers that were started again: what the one before logged.
    pub previous: bool,
}

/// A container that has begun to run, as its log is asked for.
#[derive(Debug, Clone)]
struct Source {
    node: String,
    pod: String,
    container: String,
    /// Which of those that followed each other in the pod; empty where the cluster does not say.
    id: String,
}

/// Shows the lines that a version's pods log to `see`, until that has seen enough or there are no more. Pods one after the
/// other; when they are followed, as lines come. Pods whose log cannot be had are named in the log.
///
/// # Errors
/// See [`VersionsError`].
pub async fn logs(
    versions: &Versions,
    name: &str,
    options: &LogOptions,
    mut see: impl FnMut(LogLine) -> Next,
) -> Result<(), VersionsError> {
    let version = versions.get(name).await?;
    if let (Some(wanted), Some(status)) = (&options.node, &version.status) {
        let nodes =
            status.nodes.iter().map(|it| it.workflow.as_ref().map_or(it.name.clone(), |w| format!("{w}/{}", it.name)));
        let nodes: Vec<String> = nodes.collect();
        if !nodes.is_empty() && !nodes.iter().any(|node| is_wanted(node, wanted)) {
            return Err(VersionsError::NoNode { name: name.to_owned(), node: wanted.clone(), nodes: nodes.join(", ") });
        }
    }
    let pods = versions.pods.list(&ListParams::default().labels(&labels(name))).await;
    let pods = pods.map_err(|error| versions.explained(error, name))?.items;
    let mut sources: Vec<Source> = pods.iter().flat_map(|pod| begun(pod, options)).collect();
    sources.sort_by(|a, b| (&a.node, &a.pod).cmp(&(&b.node, &b.pod)));
    if options.follow {
        return follow(versions, name, options, sources, see).await;
    }
    if sources.is_empty() {
        tracing::warn!(version = name, "no container of it has begun to run; see krt status {name}");
    }
    for source in sources {
        if let Err(error) = read(&versions.pods, &source, &params(&source, options), &mut see).await {
            match error {
                Broken::Enough => return Ok(()),
                Broken::Off(why) | Broken::Refused(why) => {
                    tracing::warn!(pod = source.pod, "no log, or not all of it: {why}");
                }
            }
        }
    }
    Ok(())
}

/// Which pods are a version's.
fn labels(name: &str) -> String {
    format!("app.kubernetes.io/managed-by=krt,app.kubernetes.io/instance={name}")
}

/// Goes on until the version is gone, or enough was seen.
async fn follow(
    versions: &Versions,
    name: &str,
    options: &LogOptions,
    there: Vec<Source>,
    mut see: impl FnMut(LogLine) -> Next,
) -> Result<(), VersionsError> {
    let (lines, mut coming) = mpsc::channel(ON_THE_WAY);
    // Dropped, they end.
    let mut readers = JoinSet::new();
    let mut read: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut begin = |source: Source, options: LogOptions| {
        if read.insert((source.pod.clone(), source.container.clone(), source.id.clone())) {
            let params = params(&source, &options);
            readers.spawn(keep_reading(versions.pods.clone(), source, params, lines.clone()));
        }
    };
    for source in there {
        begin(source, options.clone());
    }
    // Of containers that begin from now on everything is shown.
    let all = LogOptions { tail: None, since: None, ..options.clone() };
    let config = watcher::Config::default().labels(&labels(name));
    let mut pods = watcher(versions.pods.clone(), config).default_backoff().applied_objects().boxed();
    let mut version = watcher::watch_object(versions.api.clone(), name).default_backoff().boxed();
    loop {
        tokio::select! {
            Some(line) = coming.recv() => {
                if see(line) == Next::Enough {
                    return Ok(());
                }
            }
            pod = pods.next() => match pod {
                Some(Ok(pod)) => begun(&pod, &all).into_iter().for_each(|source| begin(source, all.clone())),
                Some(Err(error)) => tracing::debug!(%error, "watching pods"),
                None => return Err(VersionsError::Away("the watch ended".to_owned())),
            },
            version = version.next() => match version {
                Some(Ok(None)) => break,
                Some(_) => {}
                None => return Err(VersionsError::Away("the watch ended".to_owned())),
            },
        }
    }
    // What was said to the last.
    while let Ok(line) = coming.try_recv() {
        if see(line) == Next::Enough {
            break;
        }
    }
    Ok(())
}

/// Why a log is not read any further.
enum Broken {
    /// Nobody wants more.
    Enough,
    /// The connection broke, or somebody on the way is away.
    Off(String),
    /// The cluster does not have it.
    Refused(String),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Off(error.to_string())
    }
}

impl Source {
    fn line(&self, text: String) -> LogLine {
        let Self { node, pod, container, .. } = self.clone();
        LogLine { node, pod, container, text }
    }
}

/// Shows a log to its end.
async fn read(
    pods: &Api<Pod>,
    source: &Source,
    params: &LogParams,
    see: &mut impl FnMut(LogLine) -> Next,
) -> Result<(), Broken> {
    let mut stream = open(pods, source, params).await?;
    while let Some(Line { text, .. }) = line(&mut stream).await? {
        if see(source.line(text)) == Next::Enough {
            return Err(Broken::Enough);
        }
    }
    Ok(())
}

type Stream = std::pin::Pin<Box<dyn AsyncBufRead + Send>>;

async fn open(pods: &Api<Pod>, source: &Source, params: &LogParams) -> Result<Stream, Broken> {
    match pods.log_stream(&source.pod, params).await {
        Ok(stream) => Ok(Box::pin(stream)),
        Err(kube::Error::Api(status)) if status.code < 500 => Err(Broken::Refused(status.message.clone())),
        Err(kube::Error::Api(status)) => Err(Broken::Off(status.message.clone())),
        Err(error) => Err(Broken::Off(error.to_string())),
    }
}

/// What is between two ends of lines.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    /// Whether its end has been read, too.
    whole: bool,
}

/// The next line; none after the last. What is over [`MAX_LINE`] is read and left out.
async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Line>> {
    let mut line = Vec::new();
    loop {
        let piece = from.fill_buf().await?;
        if piece.is_empty() {
            return Ok((!line.is_empty()).then(|| Line { text: text(&line), whole: false }));
        }
        let end = piece.iter().position(|&byte| byte == b'\n');
        let words = &piece[..end.unwrap_or(piece.len())];
        line.extend_from_slice(&words[..words.len().min(MAX_LINE - line.len())]);
        let read = end.map_or(piece.len(), |end| end + 1);
        from.consume_unpin(read);
        if end.is_some() {
            return Ok(Some(Line { text: text(&line), whole: true }));
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

fn params(source: &Source, options: &LogOptions) -> LogParams {
    LogParams {
        container: Some(source.container.clone()),
        follow: options.follow,
        tail_lines: options.tail,
        since_seconds: options.since.map(|since| i64::try_from(since.as_secs().max(1)).unwrap_or(i64::MAX)),
        previous: options.previous,
        ..LogParams::default()
    }
}

/// Containers of a pod that have a log, those first that prepare its work.
fn begun(pod: &Pod, options: &LogOptions) -> Vec<Source> {
    let (Some(name), Some(status)) = (&pod.metadata.name, &pod.status) else { return Vec::new() };
    let node = node_of(pod);
    if options.node.as_ref().is_some_and(|wanted| !is_wanted(&node, wanted)) {
        return Vec::new();
    }
    let has_log = |it: &&ContainerStatus| {
        if options.previous {
            return it.restart_count > 0;
        }
        let state = it.state.as_ref();
        // One that waits to be started again has the log of the one before.
        state.is_some_and(|it| it.running.is_some() || it.terminated.is_some()) || it.restart_count > 0
    };
    let source = |it: &ContainerStatus| Source {
        node: node.clone(),
        pod: name.clone(),
        container: it.name.clone(),
        id: it.container_id.clone().unwrap_or_default(),
    };
    statuses(status).filter(has_log).map(source).collect()
}

/// Of all containers of a pod, those first that prepare its work.
fn statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
}

fn is_wanted(node: &str, wanted: &str) -> bool {
    node == wanted || node.rsplit('/').next() == Some(wanted)
}

fn node_of(pod: &Pod) -> String {
    let label =
        |name: &str| pod.metadata.labels.as_ref().and_then(|labels| labels.get(name)).cloned().unwrap_or_default();
    if label("type") == krt::names::ENTRYPOINT {
        return krt::names::ENTRYPOINT.to_owned();
    }
    format!("{}/{}", label("workflow-name"), label("node-name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        let mut from = futures::io::BufReader::with_capacity(7, bytes);
        let mut lines = Vec::new();
        while let Some(next) = line(&mut from).await.unwrap() {
            lines.push(next.text);
        }
        lines
    }

    #[tokio::test]
    async fn lines_are_cut_where_they_are_too_long_and_what_is_no_text_is_replaced() {
        assert_eq!(lines(b"one\n\ntwo and more\r\nlast").await, ["one", "", "two and more", "last"]);
        assert_eq!(lines(b"\xff\xfe\n").await, ["\u{fffd}\u{fffd}"]);
        let long = [vec![b'a'; MAX_LINE + 1000], b"\nnext\n".to_vec()].concat();
        let read = lines(&long).await;
        assert_eq!((read[0].len(), read[1].as_str(), read.len()), (MAX_LINE, "next", 2));
    }

    #[test]
    fn containers_have_a_log_once_they_have_begun() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": { "name": "p", "labels": { "workflow-name": "go", "node-name": "etl" } },
            "status": {
                "initContainerStatuses": [{ "name": "fetch", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "state": { "terminated": { "exitCode": 0 } } }],
                "containerStatuses": [
                    { "name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": { "waiting": {} } },
                    { "name": "b", "image": "", "imageID": "", "ready": false, "restartCount": 2, "state": { "waiting": {} } },
                ],
            },
        }))
        .unwrap();
        let of = |options: LogOptions| begun(&pod, &options).into_iter().map(|it| it.container).collect::<Vec<_>>();
        let node = |node: &str| LogOptions { node: Some(node.to_owned()), ..LogOptions::default() };
        assert_eq!(of(LogOptions::default()), ["fetch", "b"]);
        assert_eq!(of(LogOptions { previous: true, ..LogOptions::default() }), ["b"]);
        assert_eq!((of(node("etl")).len(), of(node("go/etl")).len(), of(node("tl")).len()), (2, 2, 0));
    }
}
