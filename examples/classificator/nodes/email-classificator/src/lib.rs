//! Node `email-classificator`: says of each e-mail what it is about, by a model that is trained when the node starts.

mod bayes;

use krt_node::{Context, FailureExt, Node, Result};
use messages::internal::{Batch, Classified, ClassifiedBatch, Email, Repair};

use bayes::Model;

/// E-mails of this category also go out on the channel of the same name.
const REPAIRS: &str = "repairs";

/// Trains the model from the package's examples. Once per instance.
fn train(ctx: &Context) -> Result<Model> {
    let path = ctx.path("model/training.tsv")?;
    let examples = std::fs::read_to_string(&path).context(path.display())?;
    let model = Model::train(&examples)?;
    log::info!(categories = model.categories().len(); "trained");
    Ok(model)
}

fn classify(ctx: &Context<Model>, batch: Batch) -> Result {
    let mut path = batch.path;
    path.push(ctx.node().to_owned());
    let emails: Vec<Classified> = batch.emails.into_iter().map(|email| classified(ctx.state(), email)).collect();
    for repair in emails.iter().filter(|classified| classified.category == REPAIRS) {
        ctx.send_to(REPAIRS, &Repair { email: repair.email.clone(), path: path.clone() })?;
    }
    ctx.send(&ClassifiedBatch { emails, path })?;
    Ok(())
}

fn classified(model: &Model, email: Email) -> Classified {
    let (category, confidence) = model.classify(&format!("{} {}", email.subject, email.body));
    Classified { category: category.to_owned(), confidence, email: Some(email) }
}

fn node() -> Node<Model> {
    Node::init(train).on("etl", classify)
}
krt_node::export!(node);

#[cfg(test)]
mod tests;
