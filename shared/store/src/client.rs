//! The store: a client of the table, and the database calls that all other files use.

use std::collections::BTreeMap;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemInput};
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};
use domain::error::Error;
use domain::id::Clock;
use domain::limits::RateLimit;
use domain::links::Links;
use domain::time::Timestamp;
use futures_util::future::try_join_all;
use observe::log::reason;
use observe::meter;
use observe::metrics::Metric;
use serde::Serialize;
use tokio::time::Instant;

use crate::attempts::Turns;
use crate::backoff::Backoff;
use crate::database::Database;
use crate::failure::{failed_call, is_conflict};
use crate::item::{Attributes, Item, Key, to_item};
use crate::item_reader::{self, ItemReader};
use crate::metering::Metering;
use crate::pack_cache::PackCache;
use crate::write::Write;

/// The timeout of one attempt of a call, after which its response counts as lost.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);
/// The age from which an attempt to commit is no longer sent.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(5);
/// How long a transaction that DynamoDB reports as in progress is retried with the same token. AWS asks for one retry
/// more than 5 s after the first attempt (see `TransactionInProgressException` of `TransactWriteItems`): it completes a
/// transaction whose coordinator died, while readers still wait for its events.
pub(crate) const MAX_STALL: Duration = Duration::from_secs(9);
/// Milliseconds after which every write that was sent has committed or never will: three times the maximum age of an
/// attempt, to allow for clock skew.
pub const WINDOW_MILLIS: i64 = 15_000;
const _: () = assert!(WINDOW_MILLIS as u128 == 3 * MAX_AGE.as_millis());
/// The maximum attempts of a read or of a single-item write. [`Store::commit`] retries transactions by itself.
const MAX_ATTEMPTS: u32 = 4;
/// The most keys of a `BatchGetItem`.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
pub(crate) const KEYS_AT_ONCE: usize = 100;

/// The table, and the clock whose stamps order messages and events.
#[derive(Clone)]
pub struct Store {
    /// For reads and single-item writes: the SDK's client retries transient failures.
    pub(crate) db: Database,
    /// For transactions: the SDK's client never retries, [`Store::commit`] does.
    pub(crate) once: Database,
    pub(crate) table: String,
    pub(crate) clock: Clock,
    /// Makes the links of attachments.
    pub(crate) links: Links,
    /// Whether to look up the sockets of receivers, to push events to them.
    pub(crate) pushes: bool,
    /// Whether rate limits are enforced.
    pub(crate) limited: bool,
    /// Milliseconds by which readers of queues lag behind, for events that are stamped but not committed yet.
    pub(crate) window: i64,
    /// The order in which this process repeats refused attempts.
    pub(crate) turns: Turns,
    /// The packs of archives that this process has read last.
    pub(crate) pack_cache: PackCache,
}

impl Store {
    /// Creates a store on a table. `config` supplies the endpoint and the credentials; `pushes` tells whether there can be
    /// sockets to push events to.
    #[must_use]
    pub fn new(
        config: aws_sdk_dynamodb::config::Builder,
        http_client: SharedHttpClient,
        table: String,
        clock: Clock,
        links: Links,
        pushes: bool,
    ) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
        // The timeout of an attempt is shorter than the SDK's protection against a stream that stalls.
        let config = config
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(SharedHttpClient::new(ItemReader(http_client)))
            .interceptor(Metering);
        let retries = RetryConfig::standard()
            .with_max_attempts(MAX_ATTEMPTS)
            .with_initial_backoff(Duration::from_millis(25))
            .with_max_backoff(Duration::from_millis(200));
        Self {
            db: Database::new(config.clone(), retries),
            once: Database::new(config, RetryConfig::disabled()),
            table,
            clock,
            links,
            pushes,
            limited: true,
            window: WINDOW_MILLIS,
            turns: Turns::default(),
            pack_cache: PackCache::default(),
        }
    }

    /// Returns the store with another window: its queue readers allow `window` milliseconds, instead of
    /// [`WINDOW_MILLIS`], for events that commit late.
    #[must_use]
    pub fn settling_after(self, window: i64) -> Self {
        Self { window, ..self }
    }

    /// Returns the store with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Returns the store with an engine in this process, which it calls bypassing the SDK's client.
    #[must_use]
    pub fn in_process(self, engine: SharedHttpConnector) -> Self {
        Self { db: self.db.in_process(engine.clone()), once: self.once.in_process(engine), ..self }
    }

    /// Returns the store without pushes: events go to the queues alone, and sockets are not looked up.
    #[must_use]
    pub fn without_pushes(self) -> Self {
        Self { pushes: false, ..self }
    }

    /// Returns the store with rate limits on or off.
    #[must_use]
    pub fn limited(self, limited: bool) -> Self {
        Self { limited, ..self }
    }

    /// Makes a write take a token from the bucket in its item, unless rate limits are off. `known` is the time at
    /// which the bucket is full again, as last read; `None` if unknown.
    ///
    /// # Errors
    /// `RateLimited` if no token is left.
    pub(crate) fn limit(&self, write: Write, limit: &RateLimit, known: Option<i64>) -> Result<Write, Error> {
        if self.limited { Ok(write.take(limit, limit.take(known, self.clock.now())?)) } else { Ok(write) }
    }

    /// Makes the links of attachments.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The current time of the store's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Opens the connection before the first request needs it, by reading an item that does not exist.
    #[boxed]
    pub async fn warm_up(&self) {
        if let Err(error) = self.get(absent_key(), false).await {
            tracing::warn!(error = reason(&error), "the table does not answer yet");
        }
    }

    /// Checks that the table is active, with one attempt to read an item that does not exist.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable, `Internal` if it has no such table.
    #[boxed]
    pub async fn reach(&self) -> Result<(), Error> {
        let get = GetItemInput::builder().table_name(&self.table).set_key(Some(absent_key().attributes()));
        self.once.call(get).await.map(|_| ()).map_err(failed_call)
    }

    pub(crate) async fn get(&self, key: Key, consistent: bool) -> Result<Option<Item>, Error> {
        let get = GetItemInput::builder().table_name(&self.table).set_key(Some(key.attributes()));
        let (_, items) = item_reader::read(self.db.call(get.consistent_read(consistent))).await?;
        Ok(items.into_iter().next())
    }

    /// Puts a single item, without a transaction.
    pub(crate) async fn put(&self, key: Key, body: &impl Serialize) -> Result<(), Error> {
        let put = PutItemInput::builder().table_name(&self.table).set_item(Some(to_item(&key, body)?));
        past_conflicts(|| self.db.call(put.clone())).await.map(|_| ()).map_err(failed_call)
    }

    /// Updates a single item under the write's condition. Returns the updated item or, if the condition failed, the
    /// item that was found.
    pub(crate) async fn update_one(&self, write: Write) -> Result<Result<Item, Option<Item>>, Error> {
        let update = write.build(&self.table).map_err(Error::internal)?.update;
        let update = update.ok_or_else(|| Error::internal("the write is not an update"))?;
        let call = UpdateItemInput::builder()
            .table_name(&self.table)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match past_conflicts(|| self.db.call(call.clone())).await {
            Ok(done) => Ok(Ok(done.attributes.unwrap_or_default().into())),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let UpdateItemError::ConditionalCheckFailedException(failed) = error.into_err() else {
                    return Err(Error::internal("the error is not of the kind that it reports"));
                };
                Ok(Err(failed.item.map(Item::from)))
            }
            Err(error) => Err(failed_call(error)),
        }
    }

    pub(crate) async fn remove(&self, key: Key) -> Result<(), Error> {
        let delete = DeleteItemInput::builder().table_name(&self.table).set_key(Some(key.attributes()));
        past_conflicts(|| self.db.call(delete.clone())).await.map(|_| ()).map_err(failed_call)
    }

    /// Reads the items of any number of keys in no order; missing items are left out. Without `consistent` it costs
    /// half, and items that were just written may be missing.
    pub(crate) async fn items_by_keys(&self, keys: Vec<Key>, consistent: bool) -> Result<Vec<Item>, Error> {
        let calls = keys.chunks(KEYS_AT_ONCE).map(|keys| self.get_some(keys.to_vec(), consistent));
        Ok(try_join_all(calls).await?.into_iter().flatten().collect())
    }

    /// Reads the items of up to [`KEYS_AT_ONCE`] keys, consistently and in no order; missing items are left out.
    pub(crate) async fn get_all(&self, keys: Vec<Key>) -> Result<Vec<Item>, Error> {
        self.get_some(keys, true).await
    }

    /// Like [`Store::get_all`]; without `consistent` it costs half, and items that were just written may be missing.
    pub(crate) async fn get_some(&self, keys: Vec<Key>, consistent: bool) -> Result<Vec<Item>, Error> {
        let mut items = Vec::with_capacity(keys.len());
        // DynamoDB rejects a request with duplicate keys.
        let keys: BTreeMap<_, _> = keys.iter().map(|key| ((&key.pk, &key.sk), key.attributes())).collect();
        let mut remaining: Vec<Attributes> = keys.into_values().collect();
        let (mut backoff, began) = (Backoff::default(), Instant::now());
        while !remaining.is_empty() {
            let keys = KeysAndAttributes::builder().set_keys(Some(remaining)).consistent_read(consistent);
            let keys = keys.build().map_err(Error::internal)?;
            let get = BatchGetItemInput::builder().request_items(&self.table, keys);
            let (got, found) = item_reader::read(self.db.call(get)).await?;
            items.extend(found);
            let unprocessed = got.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table));
            remaining = unprocessed.map(|keys| keys.keys).unwrap_or_default();
            if !remaining.is_empty() {
                // DynamoDB leaves keys unprocessed if their partition is throttled, or at 16 MB.
                if began.elapsed() >= MAX_AGE {
                    return Err(Error::Unavailable("keys stayed unprocessed".into()));
                }
                backoff.pause().await;
            }
        }
        Ok(items)
    }

    /// Reads up to `count` items of a query, over as many pages as needed, and whether there may be more.
    pub(crate) async fn query_up_to(
        &self,
        query: QueryInputBuilder,
        count: usize,
    ) -> Result<(Vec<Item>, bool), Error> {
        let mut query = query.table_name(&self.table);
        let mut items = Vec::new();
        loop {
            // A count too large for an `i32` sets no limit: DynamoDB ends each page at 1 MB anyway.
            let missing = i32::try_from(count - items.len()).ok();
            let (page, found) = item_reader::read(self.db.call(query.clone().set_limit(missing))).await?;
            items.extend(found);
            match page.last_evaluated_key {
                None => return Ok((items, false)),
                Some(_) if items.len() >= count => return Ok((items, true)),
                start => query = query.set_exclusive_start_key(start),
            }
        }
    }

    /// Reads one page of a query: the matching ones of up to `count` items, and no more than 1 MB. Returns the key at which
    /// the query can go on, if there may be more.
    pub(crate) async fn query_once(
        &self,
        query: QueryInputBuilder,
        count: usize,
    ) -> Result<(Vec<Item>, Option<Attributes>), Error> {
        let query = query.table_name(&self.table).set_limit(i32::try_from(count).ok());
        let (page, items) = item_reader::read(self.db.call(query)).await?;
        Ok((items, page.last_evaluated_key))
    }

    /// Reads up to `count` items of a query, and no more than 1 MB of them; and whether there may be more.
    pub(crate) async fn query_page(
        &self,
        query: QueryInputBuilder,
        count: usize,
    ) -> Result<(Vec<Item>, bool), Error> {
        let (items, end) = self.query_once(query, count).await?;
        Ok((items, end.is_some()))
    }

    /// Reads all items of a query.
    pub(crate) async fn query_all(&self, query: QueryInputBuilder) -> Result<Vec<Item>, Error> {
        Ok(self.query_up_to(query, usize::MAX).await?.0)
    }
}

/// Retries a single write while a transaction holds its item, for up to [`MAX_AGE`].
async fn past_conflicts<T, E, F>(call: impl Fn() -> F) -> Result<T, SdkError<E>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    let (mut backoff, began) = (Backoff::default(), Instant::now());
    loop {
        match call().await {
            Err(error) if is_conflict(&error) => {
                meter::count(Metric::Conflicts);
                if began.elapsed() >= MAX_AGE {
                    return Err(error);
                }
                backoff.pause().await;
            }
            outcome => return outcome,
        }
    }
}

/// A key that no item has.
fn absent_key() -> Key {
    Key { pk: "-".into(), sk: "-".into() }
}
