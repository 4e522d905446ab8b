//! The bus on NATS does all that the contract asks of a bus: on the server of today, on the oldest that is supported, and
//! on three that replicate.

use std::sync::{Arc, Mutex, Weak};

use e2e::nats::{CURRENT, Cluster, OLDEST, Server};
use futures::StreamExt as _;
use krt_host::bus::contract::{BEHAVIOURS, Behaviour, Make, Provisioned};
use krt_host::bus::nats::provision::{ApplyOptions, apply};
use krt_host::bus::nats::{NatsBus, NatsBusOptions};
use krt_host::nats::{Nats, NatsOptions, connect_when_there};

/// A factory of buses on the server at `url`; each behaviour has a connection of its own.
fn on(url: String, replicas: usize) -> Make {
    Make::new(move |plan, tuning| {
        let url = url.clone();
        async move {
            let options = NatsOptions { urls: url.split(',').map(str::to_owned).collect(), ..NatsOptions::default() };
            let nats = connect_when_there(&options, None).await.expect("the server is there");
            let applied = ApplyOptions {
                replicas: Some(replicas),
                duplicate_window: Some(tuning.duplicate_window),
                max_messages_per_subject: tuning.max_pending.map(|messages| messages as u64),
                ..ApplyOptions::default()
            };
            provision(&nats, &plan, &applied).await;
            let bus = NatsBus::new(
                nats.clone(),
                NatsBusOptions { publish_wait: tuning.publish_wait, ..NatsBusOptions::default() },
            );
            let apply_again = move |plan: krt::plan::Plan| {
                let (nats, applied) = (nats.clone(), applied.clone());
                Box::pin(async move { provision(&nats, &plan, &applied).await })
                    as futures::future::BoxFuture<'static, ()>
            };
            Provisioned { bus: bus.await.expect("a bus"), apply: Box::new(apply_again) }
        }
    })
}

async fn provision(nats: &Nats, plan: &krt::plan::Plan, options: &ApplyOptions) {
    apply(nats, plan, options).await.expect("the plan is applied");
}

/// A server for all behaviours that run at the same time: names in their plans are never the same. It ends with the last.
fn shared(version: &str, running: &Mutex<Weak<Server>>) -> Option<Make> {
    let mut running = running.lock().expect("no test panics here");
    let server = match running.upgrade() {
        Some(server) => server,
        None => Arc::new(Server::configured(version, "")?),
    };
    *running = Arc::downgrade(&server);
    let url = server.url();
    let make = on(url, 1);
    Some(Make::new(move |plan, tuning| {
        let (make, server) = (make.clone(), server.clone());
        async move {
            let made = make.provision(plan, tuning).await;
            let Provisioned { bus, apply } = made;
            // The server lives as long as what was made on it.
            let apply = Box::new(move |plan| {
                let _ = &server;
                apply(plan)
            });
            Provisioned { bus, apply }
        }
    }))
}

mod on_the_server_of_today {
    use super::*;

    static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());

    krt_host::bus_contract!(match shared(CURRENT, &RUNNING) {
        Some(make) => make,
        None => return,
    });
}

mod on_the_oldest_server {
    use super::*;

    static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());

    krt_host::bus_contract!(match shared(OLDEST, &RUNNING) {
        Some(make) => make,
        None => return,
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_behaviour_holds_on_three_servers_that_replicate() {
    let Some(cluster) = Cluster::start() else { return };
    let make = on(cluster.urls(), 3);
    let run = |behaviour: &'static Behaviour| {
        let task = tokio::spawn((behaviour.run)(make.clone()));
        async move { task.await.err().map(|_| behaviour.name) }
    };
    let failed: Vec<_> =
        futures::stream::iter(BEHAVIOURS).map(run).buffer_unordered(4).filter_map(std::future::ready).collect().await;
    assert!(failed.is_empty(), "{failed:?}");
}
