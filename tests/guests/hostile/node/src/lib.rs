//! Tries what the payload says, with what the standard library has: `<what> <argument>`. Answers with what came of it.

use std::io::Write as _;
use std::time::Duration;

use krt_node::{Any, Context, Failure, FailureExt as _, Incoming, Node, Result};

fn attempt(ctx: &Context, incoming: Incoming) -> Result {
    let command = String::from_utf8(incoming.into_any()?.value).context("the command is not text")?;
    let (what, argument) = command.split_once(' ').unwrap_or((&command, ""));
    let answer = match what {
        "echo" => argument.to_owned(),
        "env" => std::env::var(argument).unwrap_or_else(|_| "unset".into()),
        "all-env" => std::env::vars().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","),
        "print" => {
            println!("printed {argument}");
            eprintln!("complained {argument}");
            print!("half a line");
            std::io::stdout().flush()?;
            "printed".into()
        }
        "read" => outcome(std::fs::read_to_string(argument)),
        "write" => outcome(std::fs::write(argument, "x").map(|()| "written".into())),
        "remove" => outcome(std::fs::remove_file(argument).map(|()| "removed".into())),
        "connect" => outcome(std::net::TcpStream::connect(argument).map(|_| "connected".into())),
        "listen" => outcome(std::net::TcpListener::bind(argument).map(|_| "listening".into())),
        "resolve" => outcome(std::net::ToSocketAddrs::to_socket_addrs(argument).map(|found| found.count().to_string())),
        "send-datagram" => outcome(
            std::net::UdpSocket::bind("0.0.0.0:0")
                .and_then(|socket| socket.send_to(b"x", argument))
                .map(|sent| sent.to_string()),
        ),
        "thread" => outcome(std::thread::Builder::new().spawn(|| ()).map(|_| "started".into())),
        "sleep" => {
            std::thread::sleep(Duration::from_millis(argument.parse().context("a number of milliseconds")?));
            "slept".into()
        }
        "hoard" => {
            let mut files = Vec::new();
            loop {
                files.push(std::fs::File::open(argument)?);
            }
        }
        "allocate" => vec![1_u8; argument.parse().context("a number of bytes")?].len().to_string(),
        "loop" => loop {
            std::hint::black_box(argument);
        },
        "flood" => {
            for line in 0..100_000 {
                log::info!("line {line} of a flood");
            }
            "flooded".into()
        }
        "huge" => {
            // Zeroes that nobody wrote: a list as long as a 32-bit guest can have one.
            let value = vec![0; argument.parse().context("a number of bytes")?];
            ctx.send_any(Any { type_url: "type.googleapis.com/hostile.Answer".into(), value })?;
            "sent".into()
        }
        "recurse" => recurse(1).to_string(),
        "panic" => panic!("{argument}"),
        "exit" => std::process::exit(3),
        _ => return Err(Failure::Rejected(format!("what is {what:?}?"))),
    };
    ctx.send_any(Any { type_url: "type.googleapis.com/hostile.Answer".into(), value: answer.into_bytes() })?;
    Ok(())
}

fn outcome(result: std::io::Result<String>) -> String {
    result.unwrap_or_else(|error| format!("refused: {:?}", error.kind()))
}

#[expect(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(depth) + recurse(std::hint::black_box(depth) + 1)
}

fn node() -> Node {
    Node::new().default(attempt)
}

krt_node::export!(node);
