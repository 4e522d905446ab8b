//! What every bus must do, as tests that an adapter runs unchanged: `bus_contract!(make)` makes one test a behaviour.
//!
//! An ordinary module, not a `cfg(test)` one, since other packages' tests run it against real servers. It uses real time
//! with short ack waits and waits for events, so that a server passes it too. Never part of a running host.

pub mod delivery;
mod ground;
pub mod redelivery;
pub mod room;
pub mod routing;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use krt::plan::Plan;

use super::Bus;

/// Makes a fresh bus for one behaviour. Names in the plan are new each time, so that behaviours may share a server.
#[derive(Clone)]
pub struct Make(Arc<dyn Fn(Plan, Tuning) -> BoxFuture<'static, Provisioned> + Send + Sync>);

/// What a behaviour needs of its bus beyond the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// How long a stream knows an id again.
    pub duplicate_window: Duration,
    /// Messages that may be pending on a subject with one durable; none = plenty.
    pub max_pending: Option<usize>,
    /// How long a publication waits for room.
    pub publish_wait: Duration,
}

/// A bus with a plan applied.
pub struct Provisioned {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// Applies another plan, or the same once more; done when it returns.
    pub apply: Box<dyn Fn(Plan) -> BoxFuture<'static, ()> + Send + Sync>,
}

/// One behaviour of the contract.
pub struct Behaviour {
    /// A sentence.
    pub name: &'static str,
    /// Panics if the bus does not behave so.
    pub run: fn(Make) -> BoxFuture<'static, ()>,
}

impl Make {
    /// A factory from a function.
    pub fn new<F, R>(make: F) -> Self
    where
        F: Fn(Plan, Tuning) -> R + Send + Sync + 'static,
        R: Future<Output = Provisioned> + Send + 'static,
    {
        Self(Arc::new(move |plan, tuning| Box::pin(make(plan, tuning))))
    }

    /// A fresh bus with `plan` applied.
    pub async fn provision(&self, plan: Plan, tuning: Tuning) -> Provisioned {
        (self.0)(plan, tuning).await
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self { duplicate_window: Duration::from_secs(120), max_pending: None, publish_wait: Duration::from_secs(5) }
    }
}

/// One `#[tokio::test]` for each behaviour of the contract, against the bus that `$make` (a [`Make`]) makes.
///
/// ```text
/// mod contract {
///     krt_host::bus_contract!(super::on_a_server());
/// }
/// ```
#[macro_export]
macro_rules! bus_contract {
    (@each $rule:tt [$($make:expr)?]) => {
        $crate::bus_contract! { @$rule [$($make)?]
            routing: a_message_reaches_the_durable_that_reads_its_subject;
            routing: every_durable_of_a_subject_gets_every_message;
            routing: a_bare_subject_does_not_include_its_channels;
            routing: a_channel_does_not_include_the_bare_subject;
            routing: a_channel_of_two_tokens_belongs_to_no_stream;
            routing: a_subject_of_no_stream_is_a_typed_error;
            routing: a_subject_with_a_wildcard_is_not_accepted;
            routing: a_subject_that_nobody_reads_accepts_and_drops;
            routing: an_unknown_durable_is_a_typed_error;
            routing: a_durable_of_another_stream_is_a_typed_error;
            routing: an_unknown_stream_is_a_typed_error;
            routing: applying_a_plan_again_keeps_messages_and_what_was_acknowledged;
            routing: a_durable_added_later_sees_only_later_messages;
            routing: a_subscriber_survives_the_plan_applied_again;
            routing: dead_letters_are_accepted_though_nobody_reads_them;
            delivery: messages_published_before_anyone_binds_wait_in_the_durable;
            delivery: deliveries_come_in_the_order_of_acceptance;
            delivery: sequences_rise_by_the_message_across_the_subjects_of_a_stream;
            delivery: sequences_are_per_stream;
            delivery: headers_arrive_with_the_message;
            delivery: an_empty_payload_arrives_empty;
            delivery: bytes_arrive_as_they_were_whatever_they_are;
            delivery: competing_subscribers_share_and_each_message_goes_to_one;
            delivery: an_idle_subscriber_is_not_kept_waiting_by_a_busy_one;
            delivery: messages_left_by_a_closed_subscriber_stay_with_the_durable;
            delivery: an_ephemeral_consumer_sees_only_what_comes_after_it;
            delivery: ephemeral_consumers_each_get_every_message;
            delivery: an_ephemeral_consumer_takes_nothing_from_a_durable;
            delivery: an_ephemeral_consumer_that_is_gone_keeps_nothing_back;
            delivery: an_ephemeral_consumer_needs_no_acknowledgement;
            delivery: publishers_at_once_lose_nothing_and_double_nothing;
            redelivery: an_acknowledged_message_does_not_come_again;
            redelivery: acknowledging_in_one_durable_leaves_it_in_the_other;
            redelivery: an_unsettled_delivery_comes_again_after_the_ack_wait;
            redelivery: a_dropped_delivery_comes_again_after_the_ack_wait;
            redelivery: a_redelivery_is_the_same_message_with_a_higher_attempt;
            redelivery: attempts_are_counted_for_each_durable_by_itself;
            redelivery: a_nack_without_delay_comes_again_at_once;
            redelivery: a_nack_with_delay_comes_again_after_it;
            redelivery: progress_starts_the_ack_wait_anew;
            redelivery: a_redelivery_goes_to_a_living_subscriber;
            redelivery: a_message_that_waits_for_redelivery_does_not_hold_up_its_successors;
            redelivery: a_message_comes_again_beyond_the_attempts_of_its_plan;
            redelivery: a_late_acknowledgement_still_counts;
            room: a_known_id_is_accepted_and_dropped;
            room: an_id_is_known_on_all_subjects_of_its_stream;
            room: ids_are_per_stream;
            room: messages_without_an_id_are_never_duplicates;
            room: an_id_is_known_even_if_nobody_read_its_message;
            room: an_id_is_free_again_after_the_window;
            room: a_payload_of_exactly_the_limit_passes;
            room: a_payload_above_the_limit_is_a_typed_error_and_the_bus_stays_usable;
            room: headers_up_to_their_room_fit_beside_the_largest_payload;
            room: a_full_subject_holds_a_publication_back_until_there_is_room;
            room: a_full_subject_refuses_after_the_publish_wait;
            room: a_full_stream_does_not_hold_up_another;
        }
    };
    (@tests [$make:expr] $($module:ident: $name:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::bus::contract::$module::$name($make).await;
            }
        )*
    };
    (@table [] $($module:ident: $name:ident;)*) => {
        /// All behaviours, for adapters that bring their own test harness.
        pub const BEHAVIOURS: &[Behaviour] =
            &[$(Behaviour { name: stringify!($name), run: |make| Box::pin($module::$name(make)) }),*];
    };
    ($make:expr) => {
        $crate::bus_contract! { @each tests [$make] }
    };
}

bus_contract! { @each table [] }
