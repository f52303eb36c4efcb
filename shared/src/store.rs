//! The store: one DynamoDB table, and every item kind in it.
//!
//! | item | partition key | sort key | file |
//! | --- | --- | --- | --- |
//! | profile | `U#user` | `PROFILE` | `profiles.rs` |
//! | number of visible rows | `U#user` | `TOTALS` | `inbox.rs` |
//! | inbox row | `U#user` | `C#conversation` | `inbox.rs` |
//! | account of someone who registered here | `U#user` | `ACCOUNT` | `accounts.rs` |
//! | guard of a username or an e-mail address | `N#kind#folded` | `GUARD` | `accounts.rs` |
//! | session: a family of refresh tokens | `U#user` | `F#session` | `sessions.rs` |
//! | entry of the directory | `S#first character` | `word#user` | `directory.rs` |
//! | bucket of a limit | `L#what#whose` | `BUCKET` | `buckets.rs` |
//! | block | `U#user` | `B#other` | `blocks.rs` |
//! | presence | `U#user` | `PRESENCE` | `presences.rs` |
//! | socket | `U#user` | `W#connection` | `connections.rs` |
//! | ticket for a socket | `U#user` | `T#ticket` | `connections.rs` |
//! | event | `Q#user` | `E#stamp` | `events.rs` |
//! | message | `C#conversation` | `M#stamp` | `messages.rs` |
//! | receipt: a move of a read watermark | `C#conversation` | `R#stamp#user` | `reads.rs` |
//! | group or room | `C#conversation` | `META` | `participants.rs` |
//! | participant | `C#conversation` | `P#user` | `participants.rs` |
//! | what a deleted message said | `C#conversation` | `D#stamp` | `changing.rs` |
//! | name of a room, and its place in their list | `ROOMS` | `N#name#digest` | `rooms.rs` |
//! | change of a large conversation | `C#conversation` | `L#number` | `fan_out.rs` |
//! | how far these were brought to all | `C#conversation` | `FANOUT` | `fan_out.rs` |
//! | send key | `C#conversation` | `K#user#client_message_id` | `sending.rs` |
//!
//! Index "activity" (`pk`, `activity`) orders the visible rows, index "unread" (`pk`, `unread`) holds those with
//! unread messages. In AWS both lag behind the table: nothing exact rests on them alone.
//!
//! Invariant: keys are formatted here and nowhere else, and every change is one transaction.

mod accounts;
mod blocks;
mod buckets;
mod changing;
mod connections;
mod directory;
mod events;
mod fan_out;
mod groups;
mod inbox;
mod item;
mod messages;
mod opening;
mod participants;
mod presences;
mod profiles;
mod reads;
mod rooms;
mod searching;
mod sending;
mod sessions;
pub mod table;
mod transact;

pub use accounts::Registered;
pub use blocks::Blocked;
pub use changing::Changed;
pub use connections::TICKET_LIFE;
pub use directory::PeoplePosition;
pub(crate) use events::Told;
pub use events::{Poll, QueuePosition, WINDOW};
pub use fan_out::{LOG, logged_conversation};
pub use groups::{Details, NewGroup, Opened, Overview, ParticipantView};
pub use inbox::{InboxPage, InboxPosition, Unread};
pub use messages::{PageBounds, PageOfMessages};
pub use reads::{Marked, Receipt, Target};
pub use rooms::{RoomPosition, RoomUser, RoomUserPosition, RoomView};
pub use searching::{Hit, Pass, SearchPage, SearchScope};
pub use sending::Sent;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure};

use crate::error::Error;
use crate::id::Clock;
use crate::limits::Limit;
use crate::log::reason;
use crate::meter::Metering;
use crate::time::Timestamp;
use item::{Attribute, Item, Key, Write};

/// How long one attempt of a call may take before its answer counts as lost.
const ATTEMPT: Duration = Duration::from_millis(1500);
/// How often a read is tried; writes are repeated by [`Store::commit`] alone.
const READ_ATTEMPTS: u32 = 4;

/// The table, and the clock that orders what is written to it.
#[derive(Clone)]
pub struct Store {
    /// For reads: the SDK repeats what fails in passing.
    db: Client,
    /// For transactions: each attempt is ours.
    once: Client,
    table: String,
    clock: Clock,
    /// Whether there can be sockets to push to.
    pushes: bool,
    /// Whether limits on how often things may be done hold.
    limited: bool,
    /// Milliseconds that readers of queues wait for what was stamped and has not committed.
    window: i64,
}

impl Store {
    /// A store on a table, by whatever endpoint, credentials and HTTP client the configuration has.
    #[must_use]
    pub fn new(config: aws_sdk_dynamodb::config::Builder, table: String, clock: Clock, pushes: bool) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
        let config = config.timeout_config(timeouts).interceptor(Metering);
        let reads = RetryConfig::standard()
            .with_max_attempts(READ_ATTEMPTS)
            .with_initial_backoff(Duration::from_millis(25))
            .with_max_backoff(Duration::from_millis(200));
        Self {
            db: Client::from_conf(config.clone().retry_config(reads).build()),
            once: Client::from_conf(config.retry_config(RetryConfig::disabled()).build()),
            table,
            clock,
            pushes,
            limited: true,
            window: WINDOW,
        }
    }

    /// The same store, whose readers wait so many milliseconds for late events instead of [`WINDOW`].
    #[must_use]
    pub fn settling_after(self, window: i64) -> Self {
        Self { window, ..self }
    }

    /// The same store by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same store, which looks for no sockets: what it does is in the queues, and nothing is pushed.
    #[must_use]
    pub fn without_pushes(self) -> Self {
        Self { pushes: false, ..self }
    }

    /// The same store, with or without limits on how often things may be done.
    #[must_use]
    pub fn limited(self, limited: bool) -> Self {
        Self { limited, ..self }
    }

    /// Takes a token of a limit in a write of the item that holds its bucket, last seen to be full at `known`.
    ///
    /// # Errors
    /// `RateLimited` where none is left.
    fn limit(&self, write: Write, limit: &Limit, known: Option<i64>) -> Result<Write, Error> {
        if self.limited { Ok(write.take(limit, limit.take(known, self.clock.now())?)) } else { Ok(write) }
    }

    /// The time by its clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Opens the connection before the first request needs it, with a read that finds nothing.
    pub async fn warm_up(&self) {
        if let Err(error) = self.get(nothing(), false).await {
            tracing::warn!(error = reason(&error), "the table does not answer yet");
        }
    }

    /// Reads what is not there, once: only an active table answers that.
    ///
    /// # Errors
    /// `Unavailable` where the database is, `Internal` where it has no such table.
    pub async fn reach(&self) -> Result<(), Error> {
        let get = self.once.get_item().table_name(&self.table).set_key(Some(nothing().attributes()));
        Box::pin(get.send()).await.map(|_| ()).map_err(failed_call)
    }

    async fn get(&self, key: Key, consistent: bool) -> Result<Option<Item>, Error> {
        let get = self.db.get_item().table_name(&self.table).set_key(Some(key.attributes()));
        Ok(Box::pin(get.consistent_read(consistent).send()).await.map_err(failed_call)?.item)
    }

    /// Puts an item that stands alone.
    async fn put(&self, write: Write) -> Result<(), Error> {
        let put = self.db.put_item().table_name(&self.table).set_item(Some(write.into_item()));
        Box::pin(put.send()).await.map(|_| ()).map_err(failed_call)
    }

    /// Changes an item that stands alone under its condition: gives it as it is then, or the one in the way.
    async fn update_one(&self, write: Write) -> Result<Result<Item, Option<Item>>, Error> {
        let update = write.build(&self.table).map_err(Error::internal)?.update;
        let update = update.ok_or_else(|| Error::internal("only an update is one"))?;
        let call = self
            .db
            .update_item()
            .table_name(&self.table)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match Box::pin(call.send()).await {
            Ok(done) => Ok(Ok(done.attributes.unwrap_or_default())),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let UpdateItemError::ConditionalCheckFailedException(failed) = error.into_err() else {
                    return Err(Error::internal("another error than it said"));
                };
                Ok(Err(failed.item))
            }
            Err(error) => Err(failed_call(error)),
        }
    }

    /// Sets one attribute of an item that stands alone.
    async fn set_one(&self, key: Key, name: &str, value: &impl Attribute) -> Result<(), Error> {
        let update = self.db.update_item().table_name(&self.table).set_key(Some(key.attributes()));
        let update = update.update_expression("SET #name = :value").expression_attribute_names("#name", name);
        let update = update.expression_attribute_values(":value", value.attribute());
        Box::pin(update.send()).await.map(|_| ()).map_err(failed_call)
    }

    async fn remove(&self, key: Key) -> Result<(), Error> {
        let delete = self.db.delete_item().table_name(&self.table).set_key(Some(key.attributes()));
        Box::pin(delete.send()).await.map(|_| ()).map_err(failed_call)
    }

    /// The items of up to 100 keys as they stand, in no order; those that are missing are left out.
    async fn get_all(&self, keys: Vec<Key>) -> Result<Vec<Item>, Error> {
        let mut items = Vec::with_capacity(keys.len());
        // DynamoDB refuses a key that is asked for twice.
        let keys: BTreeMap<_, _> = keys.iter().map(|key| ((&key.pk, &key.sk), key.attributes())).collect();
        let mut wanted: Vec<Item> = keys.into_values().collect();
        while !wanted.is_empty() {
            let keys = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true);
            let keys = keys.build().map_err(Error::internal)?;
            let got = self.db.batch_get_item().request_items(&self.table, keys).send().await;
            let got = got.map_err(failed_call)?;
            items.extend(got.responses.into_iter().flatten().flat_map(|(_, items)| items));
            let left = got.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table));
            wanted = left.map(|keys| keys.keys).unwrap_or_default();
        }
        Ok(items)
    }

    /// A query of the items of a partition whose sort keys are from `low` to `high`, both included.
    fn between(&self, partition: &str, low: &str, high: &str) -> QueryFluentBuilder {
        self.db
            .query()
            .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
            .expression_attribute_values(":pk", partition.attribute())
            .expression_attribute_values(":low", low.attribute())
            .expression_attribute_values(":high", high.attribute())
    }

    /// A query of the items of a partition whose sort keys begin with a prefix.
    fn prefixed(&self, partition: &str, prefix: &str) -> QueryFluentBuilder {
        self.db
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", partition.attribute())
            .expression_attribute_values(":sk", prefix.attribute())
    }

    /// Up to `count` items of a query, over as many pages as that takes; and whether there may be more.
    async fn query_up_to(&self, query: QueryFluentBuilder, count: usize) -> Result<(Vec<Item>, bool), Error> {
        let mut query = query.table_name(&self.table);
        let mut items = Vec::new();
        loop {
            if count < usize::MAX {
                query = query.limit(i32::try_from(count - items.len()).unwrap_or(i32::MAX));
            }
            let page = Box::pin(query.clone().send()).await.map_err(failed_call)?;
            items.extend(page.items.unwrap_or_default());
            match page.last_evaluated_key {
                None => return Ok((items, false)),
                Some(_) if items.len() >= count => return Ok((items, true)),
                start => query = query.set_exclusive_start_key(start),
            }
        }
    }
}

/// A key that no item has.
fn nothing() -> Key {
    Key { pk: "-".into(), sk: "-".into() }
}

fn failed_call<E>(error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if transact::is_passing(&error) { Error::Unavailable(error.into()) } else { Error::internal(error) }
}
