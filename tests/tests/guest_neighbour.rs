//! A well-behaved node beside one under attack, both under load. By itself: it takes all of the machine, and an attacked node gets
//! what others leave.

use std::process::Stdio;
use std::time::Duration;

use e2e::load::{self, Load, Message};
use e2e::running::Running;

#[tokio::test]
async fn a_neighbour_s_calls_are_all_answered_while_a_node_is_under_attack() {
    let version = e2e::built("tests/guests/hostile");
    // What a hostile node makes the host say is of no use here.
    let running = Running::start_with(version.path(), &[], Stdio::null());
    let load = |method: &str, message, in_flight| Load {
        address: running.grpc.clone(),
        path: format!("/hostile.Entrypoint/{method}"),
        in_flight,
        message,
        duration: Duration::from_secs(2),
    };
    for command in ["loop", "panic", "allocate 1000000000"] {
        let (calm, attack) = (load("Calm", Message::Command("echo"), 4), load("Attack", Message::Text(command), 8));
        let (calm, _) = tokio::try_join!(load::run(&calm), load::attack(&attack)).expect("the neighbour is answered");
        assert!(calm.calls > 0, "{command}");
    }
}
