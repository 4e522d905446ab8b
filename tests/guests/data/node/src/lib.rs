//! Does what it is told with documents, predictions and measurements, and answers with what came of it.

use krt_node::{Context, Node, Problem, Result};

#[derive(Clone, PartialEq, prost::Message)]
struct Order {
    #[prost(string, tag = "1")]
    what: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    text: String,
    #[prost(string, tag = "4")]
    extra: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(string, repeated, tag = "1")]
    found: Vec<String>,
    #[prost(string, tag = "2")]
    error: String,
}

impl prost::Name for Order {
    const NAME: &'static str = "Order";
    const PACKAGE: &'static str = "main";
}

impl prost::Name for Answer {
    const NAME: &'static str = "Answer";
    const PACKAGE: &'static str = "main";
}

fn obey(ctx: &Context, order: Order) -> Result {
    let done = match order.what.as_str() {
        "save" => said(ctx.database().save(&order.name, &order.text)),
        "find" => match ctx.database().find(&order.name, &order.text) {
            Ok(found) => Ok(found),
            Err(error) => Err(format!("{error:?}")),
        },
        "predict" => {
            let prediction = ctx.prediction(&order.name, &order.text);
            let prediction = if order.extra.is_empty() { prediction } else { prediction.extra(&order.extra) };
            said(prediction.save())
        }
        "miss" => {
            let problem = if order.name == "new_labels" { Problem::NewLabels } else { Problem::MissingValues };
            said(ctx.no_prediction(problem).save())
        }
        "measure" => said(ctx.measure(&order.name).field(&order.text, 1.5).tag("tag", &order.text).save()),
        other => Err(format!("nobody told me how to {other}")),
    };
    let (found, error) = done.map_or_else(|error| (Vec::new(), error), |found| (found, String::new()));
    Ok(ctx.send(&Answer { found, error })?)
}

fn said<E: std::fmt::Debug>(result: Result<(), E>) -> Result<Vec<String>, String> {
    result.map(|()| Vec::new()).map_err(|error| format!("{error:?}"))
}

fn node() -> Node {
    Node::new().default(obey)
}
krt_node::export!(node);
