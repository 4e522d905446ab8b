//! Node `etl`: reads a batch of e-mails and hands it on, each e-mail with its headers and text told apart.
//!
//! Asked to, it acknowledges the batch in front of everything else: an early reply, which the exitpoint passes on.

use krt_node::{Context, Failure, FailureExt, Node, Result};
use mail_parser::MessageParser;
use messages::internal::{Batch, Email};
use messages::main::{Request, Response};

/// What an e-mail has at its beginning in an mbox file.
const SEPARATOR: &str = "From ";

fn read(ctx: &Context, request: Request) -> Result {
    let texts = match request.batch.as_str() {
        "" => request.emails,
        batch => mbox(&batch_of_package(ctx, batch)?),
    };
    if texts.is_empty() {
        return Err(Failure::rejected("the request has neither a batch nor e-mails"));
    }
    let emails = texts.iter().enumerate().map(|(i, text)| parse(i + 1, text)).collect::<Result<Vec<_>>>()?;
    log::info!(emails = emails.len(); "read a batch");
    let path = vec![ctx.from_node().to_owned(), ctx.node().to_owned()];
    if request.acknowledge {
        let message =
            format!("{} e-mails read, from {} to {}", emails.len(), emails[0].id, emails[emails.len() - 1].id);
        ctx.early_reply(&Response { message, emails: emails.len() as u32, path: path.clone(), ..Response::default() })?;
    }
    ctx.send(&Batch { emails, path })?;
    Ok(())
}

fn batch_of_package(ctx: &Context, batch: &str) -> Result<String> {
    // `path` refuses to leave the package; a name has no business in another folder of it either.
    if batch.contains(['/', '\\']) {
        return Err(Failure::rejected(format!("{batch:?} is not the name of a batch")));
    }
    let path = ctx.path(format!("emails/{batch}.mbox"))?;
    std::fs::read_to_string(path).context(format!("there is no batch {batch:?}"))
}

/// The e-mails of an mbox file.
fn mbox(text: &str) -> Vec<String> {
    let mut emails: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with(SEPARATOR) {
            emails.push(String::new());
        } else if let Some(email) = emails.last_mut() {
            // A line of text that begins like a separator travels with a `>` before it.
            email.push_str(line.strip_prefix('>').filter(|rest| rest.starts_with(SEPARATOR)).unwrap_or(line));
            email.push_str("\r\n");
        }
    }
    emails
}

fn parse(number: usize, text: &str) -> Result<Email> {
    let malformed = |what: &str| Failure::rejected(format!("e-mail {number} of the batch is malformed: {what}"));
    let message = MessageParser::default().parse(text).ok_or_else(|| malformed("it has no headers"))?;
    let from = message.from().and_then(|from| from.first()?.address().map(str::to_owned));
    let body = message.body_text(0).unwrap_or_default().trim().to_owned();
    Ok(Email {
        id: message.message_id().map_or_else(|| format!("email-{number}"), str::to_owned),
        from: from.ok_or_else(|| malformed("it has no sender"))?,
        subject: message.subject().unwrap_or_default().to_owned(),
        body,
    })
}

fn node() -> Node {
    Node::new().on("entrypoint", read)
}
krt_node::export!(node);

#[cfg(test)]
mod tests;
