//! What every store must do, as tests that an adapter runs unchanged: `store_contract!(make)` makes one test a behaviour.
//!
//! An ordinary module, as the bus's contract is: other packages' tests run it against real servers. Never part of a
//! running host.

pub mod key_value;
pub mod objects;

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{KeyValue, ObjectStore, Stores};

/// Makes stores with two key-value buckets and two object stores of these names, which have never been used before. A
/// value may have at least 64 KiB, an object 4 MiB; a value of 2 MiB is too large.
#[derive(Clone)]
pub struct Make(Arc<dyn Fn(Names) -> BoxFuture<'static, Arc<dyn Stores>> + Send + Sync>);

/// The buckets of one behaviour.
#[derive(Debug, Clone)]
pub struct Names {
    /// Key-value buckets.
    pub key_value: [String; 2],
    /// Object stores.
    pub objects: [String; 2],
}

/// Stores with the buckets made.
struct Ground {
    stores: Arc<dyn Stores>,
    names: Names,
}

impl Make {
    /// A factory from a function.
    pub fn new<F, R>(make: F) -> Self
    where
        F: Fn(Names) -> R + Send + Sync + 'static,
        R: Future<Output = Arc<dyn Stores>> + Send + 'static,
    {
        Self(Arc::new(move |names| Box::pin(make(names))))
    }

    async fn ground(&self) -> Ground {
        let name = |what: &str| format!("{what}_{}", uuid::Uuid::new_v4().simple());
        let names = Names {
            key_value: [name("key-store_a"), name("key-store_b")],
            objects: [name("objects_a"), name("objects_b")],
        };
        Ground { stores: (self.0)(names.clone()).await, names }
    }
}

impl Ground {
    /// Key-value bucket 1 or 2.
    async fn key_value(&self, number: usize) -> Arc<dyn KeyValue> {
        self.stores.key_value(&self.names.key_value[number - 1]).await.expect("the bucket was made")
    }

    /// Object store 1 or 2.
    async fn objects(&self, number: usize) -> Arc<dyn ObjectStore> {
        self.stores.object_store(&self.names.objects[number - 1]).await.expect("the store was made")
    }
}

/// One `#[tokio::test]` for each behaviour of the contract, against the stores that `$make` makes: a [`Make`], or an
/// `Option` of one where there may be no server to be had. What it holds lives as long as the behaviour.
#[macro_export]
macro_rules! store_contract {
    (@tests [$make:expr] $($module:ident: $name:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let make: Option<$crate::store::contract::Make> = $make.into();
                if let Some(make) = make {
                    $crate::store::contract::$module::$name(make).await;
                }
            }
        )*
    };
    ($make:expr) => {
        $crate::store_contract! { @tests [$make]
            key_value: a_value_is_read_back_replaced_and_removed;
            key_value: empty_text_is_a_value;
            key_value: any_text_comes_back_as_it_was;
            key_value: buckets_do_not_share_keys;
            key_value: what_was_written_is_read_by_all_who_open_the_bucket;
            key_value: a_node_reads_what_it_has_just_written;
            key_value: a_key_that_nats_would_not_hold_is_refused_by_every_operation;
            key_value: a_value_that_is_too_large_is_a_typed_error_and_the_bucket_stays_usable;
            key_value: a_bucket_that_is_not_there_is_a_typed_error;
            objects: an_object_is_read_back_listed_and_removed;
            objects: an_empty_object_is_an_object;
            objects: an_object_of_many_chunks_comes_back_as_it_was;
            objects: a_replaced_object_is_the_new_one_whole;
            objects: an_object_above_the_limit_is_refused_and_one_of_exactly_the_limit_is_not;
            objects: an_object_that_is_not_there_is_a_typed_error;
            objects: names_are_listed_in_the_order_of_their_bytes;
            objects: a_name_may_be_any_text_without_control_characters;
            objects: a_name_that_cannot_be_held_is_refused_by_every_operation;
            objects: a_reader_never_sees_half_an_object;
            objects: stores_do_not_share_names;
            objects: a_store_that_is_not_there_is_a_typed_error;
        }
    };
}
