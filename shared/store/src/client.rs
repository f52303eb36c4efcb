//! The store: a client of the one table, and the calls that everything else is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::error::Error;
use domain::id::Clock;
use domain::limits::RateLimit;
use domain::time::Timestamp;
use observe::log::reason;
use serde::Serialize;

use crate::failure::failed_call;
use crate::item::{Attribute, Item, Key, Write, to_item};
use crate::metering::Metering;

/// How long one attempt of a call may take before its answer counts as lost.
const ATTEMPT: Duration = Duration::from_millis(1500);
/// The oldest attempt to commit that is still sent.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(5);
/// Milliseconds after which every write that was sent has committed or never will: three times the age of the oldest
/// attempt, for clocks that differ.
pub const WINDOW_MILLIS: i64 = 15_000;
const _: () = assert!(WINDOW_MILLIS as u128 == 3 * MAX_AGE.as_millis());
/// How often a read is tried; writes are repeated by [`Store::commit`] alone.
const READ_ATTEMPTS: u32 = 4;

/// The table, and the clock that orders what is written to it.
#[derive(Clone)]
pub struct Store {
    /// For reads: the SDK repeats what fails in passing.
    pub(crate) db: Client,
    /// For transactions: each attempt is ours.
    pub(crate) once: Client,
    pub(crate) table: String,
    pub(crate) clock: Clock,
    /// Whether there can be sockets to push to.
    pub(crate) pushes: bool,
    /// Whether limits on how often things may be done hold.
    pub(crate) limited: bool,
    /// Milliseconds that readers of queues wait for what was stamped and has not committed.
    pub(crate) window: i64,
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
            window: WINDOW_MILLIS,
        }
    }

    /// The same store, whose readers wait so many milliseconds for late events instead of [`WINDOW_MILLIS`].
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
    pub(crate) fn limit(&self, write: Write, limit: &RateLimit, known: Option<i64>) -> Result<Write, Error> {
        if self.limited { Ok(write.take(limit, limit.take(known, self.clock.now())?)) } else { Ok(write) }
    }

    /// The time by its clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Opens the connection before the first request needs it, with a read that finds nothing.
    #[boxed]
    pub async fn warm_up(&self) {
        if let Err(error) = self.get(nothing(), false).await {
            tracing::warn!(error = reason(&error), "the table does not answer yet");
        }
    }

    /// Reads what is not there, once: only an active table answers that.
    ///
    /// # Errors
    /// `Unavailable` where the database is, `Internal` where it has no such table.
    #[boxed]
    pub async fn reach(&self) -> Result<(), Error> {
        let get = self.once.get_item().table_name(&self.table).set_key(Some(nothing().attributes()));
        Box::pin(get.send()).await.map(|_| ()).map_err(failed_call)
    }

    pub(crate) async fn get(&self, key: Key, consistent: bool) -> Result<Option<Item>, Error> {
        let get = self.db.get_item().table_name(&self.table).set_key(Some(key.attributes()));
        Ok(Box::pin(get.consistent_read(consistent).send()).await.map_err(failed_call)?.item)
    }

    /// Puts an item that stands alone.
    pub(crate) async fn put(&self, key: Key, body: &impl Serialize) -> Result<(), Error> {
        let put = self.db.put_item().table_name(&self.table).set_item(Some(to_item(&key, body)?));
        Box::pin(put.send()).await.map(|_| ()).map_err(failed_call)
    }

    /// Changes an item that stands alone under its condition: gives it as it is then, or the one in the way.
    pub(crate) async fn update_one(&self, write: Write) -> Result<Result<Item, Option<Item>>, Error> {
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
    pub(crate) async fn set_one(&self, key: Key, name: &str, value: &impl Attribute) -> Result<(), Error> {
        let update = self.db.update_item().table_name(&self.table).set_key(Some(key.attributes()));
        let update = update.update_expression("SET #name = :value").expression_attribute_names("#name", name);
        let update = update.expression_attribute_values(":value", value.attribute());
        Box::pin(update.send()).await.map(|_| ()).map_err(failed_call)
    }

    pub(crate) async fn remove(&self, key: Key) -> Result<(), Error> {
        let delete = self.db.delete_item().table_name(&self.table).set_key(Some(key.attributes()));
        Box::pin(delete.send()).await.map(|_| ()).map_err(failed_call)
    }

    /// The items of up to 100 keys as they stand, in no order; those that are missing are left out.
    pub(crate) async fn get_all(&self, keys: Vec<Key>) -> Result<Vec<Item>, Error> {
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
    pub(crate) fn between(&self, partition: &str, low: &str, high: &str) -> QueryFluentBuilder {
        self.db
            .query()
            .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
            .expression_attribute_values(":pk", partition.attribute())
            .expression_attribute_values(":low", low.attribute())
            .expression_attribute_values(":high", high.attribute())
    }

    /// A query of the items of a partition whose sort keys begin with a prefix.
    pub(crate) fn prefixed(&self, partition: &str, prefix: &str) -> QueryFluentBuilder {
        self.db
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", partition.attribute())
            .expression_attribute_values(":sk", prefix.attribute())
    }

    /// Up to `count` items of a query, over as many pages as that takes; and whether there may be more.
    pub(crate) async fn query_up_to(
        &self,
        query: QueryFluentBuilder,
        count: usize,
    ) -> Result<(Vec<Item>, bool), Error> {
        let mut query = query.table_name(&self.table);
        let mut items = Vec::new();
        loop {
            // DynamoDB's own limit of a page is 1 MB: a greater number asks for all.
            let missing = i32::try_from(count - items.len()).ok();
            let page = Box::pin(query.clone().set_limit(missing).send()).await.map_err(failed_call)?;
            items.extend(page.items.unwrap_or_default());
            match page.last_evaluated_key {
                None => return Ok((items, false)),
                Some(_) if items.len() >= count => return Ok((items, true)),
                start => query = query.set_exclusive_start_key(start),
            }
        }
    }

    /// All items of a query.
    pub(crate) async fn query_all(&self, query: QueryFluentBuilder) -> Result<Vec<Item>, Error> {
        Ok(self.query_up_to(query, usize::MAX).await?.0)
    }
}

/// The key of no item.
fn nothing() -> Key {
    Key { pk: "-".into(), sk: "-".into() }
}
