//! One container's log, read on over connections that break or fall silent: no line is lost, and none is sent twice. Ends with
//! the container; never decides which are read.

use std::time::Duration;

use futures::AsyncBufRead;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::{Broken, Line, LogLine, Source, line, open, statuses};

/// Between attempts to go on with a log that broke off.
const PAUSE: Duration = Duration::from_secs(1);

/// A log that says nothing for so long is asked for anew: who waits on a connection that is gone is told by nobody.
const SILENCE: Duration = Duration::from_secs(60);

/// An answer that takes longer does not come.
const ANSWER: Duration = Duration::from_secs(15);

/// Sends what a container logs until it is gone, with all that it logged. `first` says which lines of the past.
pub(super) async fn keep_reading(pods: Api<Pod>, source: Source, first: LogParams, lines: mpsc::Sender<LogLine>) {
    let mut first = LogParams { timestamps: true, ..first };
    let mut mark = Mark::default();
    let mut is_told = false;
    loop {
        let read = read_on(&pods, &source, &first, &mut mark, &lines).await;
        if matches!(read, Err(Broken::Enough)) {
            return;
        }
        is_told &= !mark.is_had;
        // A log ends with its container, and when a connection somewhere on the way to it does.
        let pod = timeout(ANSWER, pods.get_opt(&source.pod)).await;
        let state = match &pod {
            Ok(Ok(pod)) => state(pod.as_ref(), &source),
            Ok(Err(_)) | Err(_) => State::Runs,
        };
        match (state, &read) {
            (State::Gone, _) => return,
            // What it said last may have come after the break; then that was read to its end, too.
            (State::Ended { .. }, Ok(()) | Err(Broken::Refused(_))) if !first.follow => return,
            (State::Ended { is_previous }, _) => {
                (first.follow, first.previous) = (false, is_previous);
                if read.is_ok() {
                    continue;
                }
            }
            (State::Runs, _) => {}
        }
        if let (false, Err(Broken::Off(why) | Broken::Refused(why))) = (is_told, read) {
            tracing::warn!(pod = source.pod, "its log broke off, and is asked for anew: {why}");
            is_told = true;
        }
        mark.is_had = false;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends the lines of a log after the mark, which moves on with them.
async fn read_on(
    pods: &Api<Pod>,
    source: &Source,
    first: &LogParams,
    mark: &mut Mark,
    lines: &mpsc::Sender<LogLine>,
) -> Result<(), Broken> {
    let params = mark.params(first);
    let opening = timeout(ANSWER, open(pods, source, &params)).await;
    let stream = opening.map_err(|_| Broken::Off(format!("no answer within {} s", ANSWER.as_secs())))??;
    mark.begun.get_or_insert_with(Instant::now);
    mark.is_had = true;
    send(stream, source, first.follow, mark, lines).await
}

/// Sends lines until the stream ends or falls silent.
async fn send(
    mut stream: impl AsyncBufRead + Unpin,
    source: &Source,
    follows: bool,
    mark: &mut Mark,
    lines: &mpsc::Sender<LogLine>,
) -> Result<(), Broken> {
    let mut before = mark.last;
    // What is silent may be well: nothing is said of it.
    while let Ok(next) = timeout(SILENCE, line(&mut stream)).await {
        let Some(Line { text, whole }) = next? else { break };
        if follows && !whole {
            // It broke off in the midst of it. It comes again.
            break;
        }
        let (time, text) = timed(&text);
        if let Some(time) = time
            && !mark.is_new(time, &mut before)
        {
            continue;
        }
        lines.send(source.line(text.to_owned())).await.map_err(|_| Broken::Enough)?;
    }
    Ok(())
}

/// How far a log was read.
#[derive(Debug, Default)]
struct Mark {
    /// When the last line was logged that was sent, and how many were at that very time.
    last: Option<(Timestamp, usize)>,
    /// When the log was had for the first time.
    begun: Option<Instant>,
    /// Whether it was had when it was asked for last.
    is_had: bool,
}

impl Mark {
    /// What to ask for: what was wanted at first until the log was had; then all from the last line's second on.
    fn params(&self, first: &LogParams) -> LogParams {
        let Some(begun) = self.begun else { return first.clone() };
        let rest = LogParams { tail_lines: None, since_seconds: None, ..first.clone() };
        let elapsed = i64::try_from(begun.elapsed().as_secs()).unwrap_or(i64::MAX).saturating_add(1);
        match (self.last, first.tail_lines, first.since_seconds) {
            // The client would round it to the nearest second, and what lies before that would be lost.
            (Some((time, _)), ..) => LogParams { since_time: Timestamp::from_second(time.as_second()).ok(), ..rest },
            // Nothing of the past is wanted. What comes of it is less than a second.
            (None, Some(0), _) => LogParams { since_seconds: Some(elapsed), ..rest },
            // There was nothing then of what was wanted: all that is there now has come since.
            (None, _, Some(since)) => LogParams { since_seconds: Some(since.saturating_add(elapsed)), ..rest },
            (None, _, None) => rest,
        }
    }

    /// Whether a line of this time was not sent yet; then it counts as sent. `before`: the mark when this connection began,
    /// less what has come again of it.
    fn is_new(&mut self, time: Timestamp, before: &mut Option<(Timestamp, usize)>) -> bool {
        match before {
            Some((last, _)) if time < *last => return false,
            Some((last, left)) if time == *last && *left > 0 => {
                *left -= 1;
                return false;
            }
            _ => {}
        }
        let same = self.last.filter(|(last, _)| *last == time).map_or(0, |(_, same)| same);
        self.last = Some((time, same + 1));
        true
    }
}

/// What became of a container.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Runs,
    /// Its log is still there.
    Ended {
        /// Another has taken its place since.
        is_previous: bool,
    },
    /// With its log.
    Gone,
}

fn state(pod: Option<&Pod>, source: &Source) -> State {
    let Some(status) = pod.and_then(|pod| pod.status.as_ref()) else { return State::Gone };
    let Some(found) = statuses(status).find(|it| it.name == source.container) else { return State::Gone };
    let is = |id: &Option<String>| id.as_deref().unwrap_or_default() == source.id;
    if !is(&found.container_id) {
        let previous = found.last_state.as_ref().and_then(|last| last.terminated.as_ref());
        let is_previous = previous.is_some_and(|last| is(&last.container_id));
        return if is_previous { State::Ended { is_previous } } else { State::Gone };
    }
    let runs = found.state.as_ref().is_some_and(|state| state.running.is_some());
    if runs { State::Runs } else { State::Ended { is_previous: false } }
}

/// The time that the cluster has put before a line.
fn timed(line: &str) -> (Option<Timestamp>, &str) {
    let Some((time, text)) = line.split_once(' ') else { return (line.parse().ok(), "") };
    match time.parse() {
        Ok(time) => (Some(time), text),
        Err(_) => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use serde_json::json;

    use super::*;

    fn source() -> Source {
        let [node, pod, container, id] = ["n", "p", "c", "id"].map(str::to_owned);
        Source { node, pod, container, id }
    }

    fn at(fraction: &str, text: &str) -> String {
        format!("2026-01-01T00:00:05.{fraction}Z {text}\n")
    }

    /// What comes through of connections with this on them, one after the other.
    async fn sent(connections: &[&str]) -> (Vec<String>, Mark) {
        let (to, mut from) = mpsc::channel(64);
        let mut mark = Mark::default();
        for bytes in connections {
            assert!(send(futures::io::Cursor::new(bytes), &source(), true, &mut mark, &to).await.is_ok());
        }
        drop(to);
        let mut all = Vec::new();
        while let Some(line) = from.recv().await {
            all.push(line.text);
        }
        (all, mark)
    }

    #[tokio::test]
    async fn what_comes_again_is_not_sent_again_and_what_has_the_same_time_is_not_lost() {
        let first = at("7", "a") + &at("8", "b") + &at("8", "c");
        let again = first.clone() + &at("8", "d") + &at("9", "e");
        assert_eq!(sent(&[&first, &again, &again]).await.0, ["a", "b", "c", "d", "e"]);
    }

    #[tokio::test]
    async fn a_line_that_broke_off_is_sent_when_it_comes_whole() {
        let whole = at("7", "a") + &at("8", "and more");
        assert_eq!(sent(&[&whole[..whole.len() - 5], &whole]).await.0, ["a", "and more"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_is_asked_for_from_the_second_of_its_last_line_though_the_client_rounds() {
        let wanted = LogParams { tail_lines: Some(3), follow: true, ..LogParams::default() };
        let mut mark = Mark::default();
        assert_eq!(mark.params(&wanted).tail_lines, Some(3));
        mark.begun = Some(Instant::now());
        let all = mark.params(&wanted);
        assert!(all.follow && all.tail_lines.is_none() && all.since_seconds.is_none(), "{all:?}");
        tokio::time::advance(Duration::from_millis(7500)).await;
        let nothing = LogParams { tail_lines: Some(0), ..wanted.clone() };
        assert_eq!(mark.params(&nothing).since_seconds, Some(8));
        let recent = LogParams { tail_lines: None, since_seconds: Some(60), ..wanted.clone() };
        assert_eq!(mark.params(&recent).since_seconds, Some(68));
        mark.last = sent(&[&at("9", "late in its second")]).await.1.last;
        let since = mark.params(&recent);
        assert_eq!(since.since_time.unwrap().to_string(), "2026-01-01T00:00:05Z");
        assert!(since.since_seconds.is_none(), "the cluster takes one of them");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_on_a_connection_that_says_nothing() {
        let (to, _from) = mpsc::channel(1);
        let silent = futures::stream::pending::<std::io::Result<Vec<u8>>>().into_async_read();
        assert!(send(silent, &source(), true, &mut Mark::default(), &to).await.is_ok());
    }

    #[test]
    fn what_a_container_said_last_is_still_to_be_had_when_another_has_taken_its_place() {
        let pod = |now: &str, state: &str, last: Option<&str>| -> Pod {
            let last = last.map(|id| json!({ "terminated": { "exitCode": 1, "containerID": id } }));
            let state = if state == "terminated" { json!({ state: { "exitCode": 0 } }) } else { json!({ state: {} }) };
            let container = json!({ "name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": now, "state": state, "lastState": last });
            serde_json::from_value(json!({ "status": { "containerStatuses": [container] } })).unwrap()
        };
        let state = |pod: &Pod| state(Some(pod), &source());
        assert_eq!(state(&pod("id", "running", None)), State::Runs);
        assert_eq!(state(&pod("id", "terminated", None)), State::Ended { is_previous: false });
        assert_eq!(state(&pod("id", "waiting", Some("id"))), State::Ended { is_previous: false });
        assert_eq!(state(&pod("other", "running", Some("id"))), State::Ended { is_previous: true });
        assert_eq!(state(&pod("other", "running", Some("another"))), State::Gone);
        assert_eq!(super::state(None, &source()), State::Gone);
    }

    #[test]
    fn the_time_before_a_line_is_the_clusters() {
        let (time, text) = timed("2026-01-02T03:04:05.000000006Z it says  this");
        assert_eq!((time.unwrap().subsec_nanosecond(), text), (6, "it says  this"));
        assert_eq!(timed("2026-01-02T03:04:05Z").1, "");
        assert_eq!(timed("no time"), (None, "no time"));
    }
}
