//! A node in Rust with `wit-bindgen` alone: answers a Ping with a Pong, and says how many it answered.

wit_bindgen::generate!({ path: "../../../../wit", world: "node" });

use exports::krt::node::handler::{Failure, Guest, Message};
use krt::node::messaging::{OutputType, Payload};
use krt::node::{configuration, logging, messaging};

struct Bare;

impl Guest for Bare {
    fn init() -> Result<(), Failure> {
        configuration::set("answered", "0", None).map_err(|error| Failure::Transient(format!("{error:?}")))
    }

    fn handle(message: Message) -> Result<(), Failure> {
        let Some(Payload { data, .. }) = message.payload.filter(|payload| !payload.data.is_empty()) else {
            return Err(Failure::Rejected("nothing to answer".into()));
        };
        let answered = configuration::get("answered", None).ok().flatten().and_then(|text| text.parse().ok());
        let answered = (answered.unwrap_or(0_u32) + 1).to_string();
        configuration::set("answered", &answered, None).map_err(|error| Failure::Transient(format!("{error:?}")))?;
        logging::log(logging::Level::Info, "answered", &[("count".into(), answered)]);
        let pong = Payload { type_url: "type.googleapis.com/bare.Pong".into(), data };
        messaging::send(&pong, OutputType::Ok, None).map_err(|error| Failure::Rejected(format!("{error:?}")))
    }
}

export!(Bare);
