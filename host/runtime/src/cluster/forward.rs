//! A way to NATS in a cluster from outside: a port of loopback whose connections lead through the API server to one of its pods, as
//! `kubectl port-forward` has it. A Secret says where NATS is and as whom; it is never shown.

use std::net::Ipv4Addr;

use futures::TryFutureExt as _;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::client::Connection;
use super::crd::KeyRef;

/// The way, as long as it is held.
#[derive(Debug)]
pub struct Forward {
    url: String,
    pod: String,
    listening: JoinHandle<()>,
}

/// Why there is no way.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The Secret is not there, or has no such key.
    #[error(
        "there is no Secret {name:?} with the key {key:?} in namespace {namespace:?}: name another with --nats-secret, or NATS with --nats"
    )]
    NoSecret {
        /// The Secret.
        name: String,
        /// The key in it.
        key: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// What the Secret says is not for a way through the cluster. What it is may be secret.
    #[error(
        "the URL in Secret {0:?} is not one of a Service without TLS, nats://USER:PASSWORD@SERVICE.NAMESPACE.svc:PORT: say --nats URL"
    )]
    NotInCluster(String),
    /// None of its pods can be reached now.
    #[error("NATS has no pod that is ready: Service {service:?} in namespace {namespace:?}")]
    NoPod {
        /// The Service.
        service: String,
        /// Its namespace.
        namespace: String,
    },
    /// The API server says no.
    #[error("the cluster refuses: {0}")]
    Refused(String),
    /// The API server is away, or does not lead there.
    #[error("the cluster does not answer: {0}")]
    Away(String),
    /// There is no port to listen on.
    #[error("no port of loopback: {0}")]
    Here(#[from] std::io::Error),
}

impl From<kube::Error> for ForwardError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status.message.clone()),
            error => Self::Away(error.to_string()),
        }
    }
}

impl Forward {
    /// Where to connect to, with who does. A secret.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it leads: `NAMESPACE/POD`.
    pub fn pod(&self) -> &str {
        &self.pod
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Makes a way to the NATS whose URL is in a Secret of `namespace`, and tries it once.
///
/// # Errors
/// See [`ForwardError`].
pub async fn to_nats(connection: &Connection, namespace: &str, secret: &KeyRef) -> Result<Forward, ForwardError> {
    let secrets: Api<Secret> = Api::namespaced(connection.client.clone(), namespace);
    let data = secrets.get_opt(&secret.name).await?.and_then(|found| found.data);
    let Some(url) = data.and_then(|mut data| data.remove(&secret.key)) else {
        let (KeyRef { name, key }, namespace) = (secret.clone(), namespace.to_owned());
        return Err(ForwardError::NoSecret { name, key, namespace });
    };
    let url = String::from_utf8(url.0).ok().and_then(|url| place(&url, namespace));
    let Place { who, service, namespace, port } = url.ok_or_else(|| ForwardError::NotInCluster(secret.name.clone()))?;
    let pods: Api<Pod> = Api::namespaced(connection.client.clone(), &namespace);
    let (pod, port) = behind(connection, &pods, &service, &namespace, port).await?;
    // Whether it leads there, and may be gone, is known before anybody relies on it.
    let first = stream(&pods, &pod, port).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let here = listener.local_addr()?;
    let there = format!("{namespace}/{pod}");
    let listening = tokio::spawn(async move {
        let mut first = Some(first);
        loop {
            let Ok((near, _)) = listener.accept().await else { continue };
            match first.take() {
                Some(far) => drop(tokio::spawn(carry(near, far))),
                None => {
                    let (pods, pod) = (pods.clone(), pod.clone());
                    let carrying = async move { carry(near, stream(&pods, &pod, port).await?).await };
                    // Who connected hears of it by the connection.
                    tokio::spawn(carrying.inspect_err(|error| tracing::debug!(%error, "no way to NATS")));
                }
            }
        }
    });
    Ok(Forward { url: format!("nats://{who}{here}"), pod: there, listening })
}

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// `USER:PASSWORD@`, or nothing.
    who: String,
    service: String,
    namespace: String,
    port: u16,
}

/// Of the first of several servers; none where that is no Service, or wants a certificate for its name.
fn place(urls: &str, namespace: &str) -> Option<Place> {
    let url = urls.trim().split(',').next()?.strip_prefix("nats://")?.trim_end_matches('/');
    let (who, host) = url.rsplit_once('@').map_or(("", url), |(who, host)| (&url[..=who.len()], host));
    let (host, port) = host.split_once(':').unwrap_or((host, "4222"));
    let labels: Vec<&str> = host.split('.').collect();
    let (service, namespace) = match labels[..] {
        [service] => (service, namespace),
        [service, namespace] | [service, namespace, "svc", ..] => (service, namespace),
        _ => return None,
    };
    let is_name = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let (who, service, namespace) = (who.to_owned(), service.to_owned(), namespace.to_owned());
    (is_name(&service) && is_name(&namespace)).then_some(())?;
    Some(Place { who, service, namespace, port: port.parse().ok()? })
}

/// A ready pod behind a Service, and its port.
async fn behind(
    connection: &Connection,
    pods: &Api<Pod>,
    service: &str,
    namespace: &str,
    port: u16,
) -> Result<(String, u16), ForwardError> {
    let services: Api<Service> = Api::namespaced(connection.client.clone(), namespace);
    let spec = services.get(service).await?.spec.unwrap_or_default();
    let labels: Vec<String> = spec.selector.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
    let target =
        spec.ports.iter().flatten().find(|it| it.port == i32::from(port)).and_then(|it| it.target_port.clone());
    let none = || ForwardError::NoPod { service: service.to_owned(), namespace: namespace.to_owned() };
    if labels.is_empty() {
        return Err(none());
    }
    let all = pods.list(&ListParams::default().labels(&labels.join(","))).await?.items;
    let found = all.into_iter().filter(is_ready).find_map(|pod| {
        let port = match &target {
            None => Some(port),
            Some(IntOrString::Int(port)) => u16::try_from(*port).ok(),
            Some(IntOrString::String(name)) => named(&pod, name),
        };
        Some((pod.metadata.name?, port?))
    });
    found.ok_or_else(none)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|it| it.type_ == "Ready" && it.status == "True");
    pod.metadata.deletion_timestamp.is_none() && ready.next().is_some()
}

/// The port of this name.
fn named(pod: &Pod, name: &str) -> Option<u16> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let port = ports.find(|port| port.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}

/// One connection to a pod's port.
async fn stream(
    pods: &Api<Pod>,
    pod: &str,
    port: u16,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>, ForwardError> {
    let mut forwarder = pods.portforward(pod, &[port]).await?;
    forwarder.take_stream(port).ok_or_else(|| ForwardError::Away(format!("no stream to port {port} of {pod}")))
}

/// Until both have said all.
async fn carry(mut near: TcpStream, mut far: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), ForwardError> {
    copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_service_and_who_connects() {
        let found = place("nats://team-a.push:p@krt-nats.krt.svc:4222", "team-a").unwrap();
        assert_eq!((found.who.as_str(), found.service.as_str()), ("team-a.push:p@", "krt-nats"));
        assert_eq!((found.namespace.as_str(), found.port), ("krt", 4222));
        let found = place("nats://bus\n", "team-a").unwrap();
        assert_eq!((found.who.as_str(), found.service.as_str()), ("", "bus"));
        assert_eq!((found.namespace.as_str(), found.port), ("team-a", 4222));
        assert_eq!(place("nats://n.a.svc.cluster.local:1,nats://m.b.svc:2", "x").unwrap().namespace, "a");
        for strange in
            ["tls://n.a.svc", "nats://nats.example.org:4222", "nats://10.0.0.1:4222", "nats://", "x", "nats://a/b"]
        {
            assert_eq!(place(strange, "x"), None, "{strange}");
        }
    }

    #[test]
    fn a_port_is_found_by_its_name() {
        let pod = serde_json::json!({ "spec": { "containers": [
            { "name": "a", "ports": [{ "name": "web", "containerPort": 80 }] },
            { "name": "b", "ports": [{ "name": "nats", "containerPort": 4222 }] },
        ] } });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert_eq!((named(&pod, "nats"), named(&pod, "none")), (Some(4222), None));
        assert!(!is_ready(&pod));
    }
}
