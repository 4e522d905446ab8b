//! Removes compiled components that no version of a runtime has any more, after one of its versions has gone. Never removes what
//! a version is about to have: nothing is compiled meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::api::{Api, ListParams};

use super::{Context, Failure, lock};
use crate::artifact::nats::keep_only;
use crate::cluster::crd::Version;

/// Has the store of a namespace's runtime looked through, soon. What cannot be removed now is with the next version that goes.
pub(super) fn sweep(context: &Arc<Context>, namespace: &str) {
    // Others may have versions of a runtime that is not a namespace's own.
    if context.options.runtime_id.is_some() || !lock(&context.sweeping).insert(namespace.to_owned()) {
        return;
    }
    let (context, namespace) = (context.clone(), namespace.to_owned());
    tokio::spawn(async move {
        let turn = context.ahead.turn().await;
        // Who goes from now on is to be seen by another look.
        lock(&context.sweeping).remove(&namespace);
        match swept(&context, &namespace).await {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => tracing::info!(namespace, ?removed, "compiled components that nobody has were removed"),
            Err(error) => tracing::warn!(namespace, %error, "compiled components that nobody has stay for now"),
        }
        drop(turn);
    });
}

async fn swept(context: &Context, namespace: &str) -> Result<Vec<String>, Failure> {
    let bucket = krt::names::compiled(namespace);
    let versions: Api<Version> = Api::namespaced(context.client.clone(), namespace);
    let all = versions.list(&ListParams::default()).await?.items;
    let recorded = all.iter().filter_map(|version| version.status.as_ref()?.compiled.as_ref());
    let recorded = recorded.flat_map(|record| &record.components).map(|component| component.reference.clone());
    let kept: BTreeSet<String> =
        recorded.chain(context.ahead.kept(namespace)).filter_map(|it| name(&it, &bucket).map(str::to_owned)).collect();
    let nats = context.nats().await?;
    keep_only(&nats, &bucket, &kept).await.map_err(|error| Failure::Compiling(error.to_string()))
}

/// The object's name in a reference to it.
fn name<'a>(reference: &'a str, bucket: &str) -> Option<&'a str> {
    let object = reference.strip_prefix("nats://")?.strip_prefix(bucket)?.strip_prefix('/')?;
    Some(object.split_once('@').map_or(object, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_object_is_named_by_a_reference_to_its_own_bucket() {
        let reference = "nats://compiled_a/0123.engine@sha256:4567";
        assert_eq!(super::name(reference, "compiled_a"), Some("0123.engine"));
        assert_eq!(super::name(reference, "compiled_ab"), None);
        assert_eq!(super::name("nats://compiled_ab/0", "compiled_a"), None);
    }
}
