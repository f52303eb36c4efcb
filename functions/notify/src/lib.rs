//! The second handler of the table's stream: notifies users of messages that they have not read.
//!
//! Invariant: a record only says that there is something to decide. Whether a user is notified follows from what the store
//! holds then, and a conditional write comes before each notification. So a record that comes twice, or a call that dies
//! and is repeated, notifies nobody twice. A notification is lost if a call dies between that write and the push.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::error::Error;
use domain::id::{ConversationId, ConversationKind, MessageId, Stamp, UserId};
use domain::message::Message;
use domain::name::Name;
use domain::notification::{Notification, name_of_peer};
use domain::time::Timestamp;
use domain::web_push::Subscription;
use edge::app::App;
use edge::web_push::WebPush;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use observe::log::reason;
use observe::meter;
use serde_dynamo::AttributeValue;
use store::{Candidates, Cause, Decision, Receiver, table};
use tokio::time::{Instant, timeout_at};

/// Milliseconds between a message and its notifications, at least: the time to read it where it arrives.
pub const DELAY: i64 = 2_000;
/// Milliseconds after which a message leads to no notification any more: the stream was not followed for so long.
const TOO_LATE: i64 = 3_600_000;
/// How many tasks are done concurrently.
const CONCURRENT_TASKS: usize = 4;
/// How many users are notified concurrently in each.
const CONCURRENT_USERS: usize = 32;
/// The users of a large conversation who are looked up at once.
const PAGE: usize = 100;
/// How long a call works: less than the function's timeout in the template, 60 s, so that it can still report the records
/// that are left.
const TIME_LIMIT: Duration = Duration::from_secs(50);

/// The work of one invocation.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// To notify the users of a conversation of its new messages.
    Messages(ConversationId),
    /// To notify a user, who was active until now, of what came meanwhile.
    Waiting(UserId),
}

/// The records of a task.
#[derive(Default)]
struct Records {
    numbers: Vec<Option<String>>,
    /// The oldest and the newest message.
    range: Option<(Stamp, Stamp)>,
}

/// Notifies the users whom a batch of records concerns, and reports the records of tasks that failed. An event without
/// records comes from the clock: it wakes the users who were active and whose time is over.
///
/// # Errors
/// If the users whose time is over cannot be read. Other failures are in the response.
pub async fn handle(app: App, event: Event) -> Result<DynamoDbEventResponse, String> {
    handle_after(app, event, DELAY).await
}

/// Does what [`handle`] does, with another delay in milliseconds.
///
/// # Errors
/// Those of [`handle`].
pub async fn handle_after(app: App, event: Event, delay: i64) -> Result<DynamoDbEventResponse, String> {
    let Some(web_push) = app.web_push.clone() else { return Ok(DynamoDbEventResponse::default()) };
    if event.records.is_empty() {
        meter::note_field("route", "clock");
        app.store.remove_due_waiting_users().await.map_err(|error| reason(&error))?;
        return Ok(DynamoDbEventResponse::default());
    }
    meter::note_field("route", "stream");
    meter::note_field("records", event.records.len());
    let end = Instant::now() + TIME_LIMIT;
    let notifier = Notifier { app: &app, web_push: &web_push, delay };
    let outcomes = stream::iter(tasks(event)).map(async |(task, records)| {
        let outcome = timeout_at(end, notifier.perform(&task, records.range)).await;
        let late = |_| Err(Error::Unavailable("the time for the notifications was over".into()));
        (outcome.unwrap_or_else(late), task, records)
    });
    let mut outcomes = outcomes.buffer_unordered(CONCURRENT_TASKS);
    let mut response = DynamoDbEventResponse::default();
    while let Some((outcome, task, records)) = outcomes.next().await {
        let Err(error) = outcome else { continue };
        meter::failed(&error);
        let (code, reason) = (error.code(), reason(&error));
        match &task {
            Task::Messages(conversation) => {
                tracing::error!(%conversation, code, error = reason, "users are not notified yet");
            }
            Task::Waiting(user) => tracing::error!(%user, code, error = reason, "a user is not notified yet"),
        }
        response.batch_item_failures.extend(records.numbers.into_iter().map(failure));
    }
    Ok(response)
}

fn failure(number: Option<String>) -> DynamoDbBatchItemFailure {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = number;
    failure
}

/// The tasks of the records of an event, each once.
fn tasks(event: Event) -> BTreeMap<Task, Records> {
    let mut tasks = BTreeMap::<Task, Records>::new();
    for record in event.records {
        let (task, stamp) = match cause(&record) {
            Some(Cause::Message(id)) => (Task::Messages(id.conversation), Some(id.stamp)),
            Some(Cause::Inactive(user)) => (Task::Waiting(user), None),
            None => continue,
        };
        let records = tasks.entry(task).or_default();
        records.numbers.push(record.change.sequence_number);
        if let Some(stamp) = stamp {
            let (oldest, newest) = records.range.unwrap_or((stamp, stamp));
            records.range = Some((oldest.min(stamp), newest.max(stamp)));
        }
    }
    tasks
}

fn cause(record: &EventRecord) -> Option<Cause> {
    let text = |name| match record.change.keys.get(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let (pk, sk) = (text("pk")?, text("sk")?);
    if table::notifies(&record.event_name, sk) { Cause::of(pk, sk) } else { None }
}

struct Notifier<'a> {
    app: &'a App,
    web_push: &'a WebPush,
    delay: i64,
}

impl Notifier<'_> {
    async fn perform(&self, task: &Task, range: Option<(Stamp, Stamp)>) -> Result<(), Error> {
        match (task, range) {
            (Task::Messages(conversation), Some(range)) => self.notify_all(conversation, range).await,
            (Task::Messages(_), None) => Ok(()),
            (Task::Waiting(user), _) => self.notify_waiting(user).await,
        }
    }

    /// Notifies the users of a conversation of its messages from one to another.
    async fn notify_all(
        &self,
        conversation: &ConversationId,
        (oldest, newest): (Stamp, Stamp),
    ) -> Result<(), Error> {
        meter::note(conversation);
        let earliest = Stamp::first_of(Timestamp::from_millis(self.app.store.now().millis() - TOO_LATE));
        if newest < earliest {
            return Ok(());
        }
        let range = (oldest.max(earliest), Some(newest));
        let kind = conversation.kind();
        let mut everyone = kind == ConversationKind::Group;
        if !everyone {
            let candidates = self.app.store.candidates(conversation, range).await?;
            for users in candidates.named().chunks(PAGE) {
                self.notify_some(conversation, range, users).await?;
            }
            everyone = candidates.mention_all();
        }
        if kind == ConversationKind::Direct {
            return Ok(());
        }
        let mut after = None;
        loop {
            let page =
                self.app.store.possible_receivers(conversation, everyone, after.as_ref(), PAGE).await?;
            self.notify_some(conversation, range, &page.0).await?;
            after = page.1;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Notifies those of some users who have subscriptions. For the others, it reads nothing else.
    async fn notify_some(
        &self,
        conversation: &ConversationId,
        range: (Stamp, Option<Stamp>),
        users: &[UserId],
    ) -> Result<(), Error> {
        let subscribers = self.app.store.subscribers(users).await?;
        if subscribers.is_empty() {
            return Ok(());
        }
        if let Some(newest) = range.1 {
            let wait = newest.time().millis() + self.delay - self.app.store.now().millis();
            // A clock that is wrong must not hold the stream up.
            let wait = wait.clamp(0, self.delay);
            tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
        }
        let candidates = &self.app.store.candidates(conversation, range).await?;
        let calls = stream::iter(subscribers).map(|(user, subscriptions)| async move {
            self.notify(&user, conversation, candidates, subscriptions).await.map(|_| ())
        });
        calls.buffer_unordered(CONCURRENT_USERS).try_collect().await
    }

    /// Notifies a user of what came while they were active. What still waits is asked for again later.
    async fn notify_waiting(&self, user: &UserId) -> Result<(), Error> {
        meter::note(user);
        let subscriptions = self.app.store.subscribers(std::slice::from_ref(user)).await?.remove(user);
        for (conversation, oldest) in self.app.store.waiting_notifications(user).await? {
            let candidates = self.app.store.candidates(&conversation, (oldest, None)).await?;
            let subscriptions = subscriptions.clone().unwrap_or_default();
            if self.notify(user, &conversation, &candidates, subscriptions).await? {
                continue;
            }
            self.app.store.stop_waiting(user, &MessageId { conversation, stamp: oldest }).await?;
        }
        Ok(())
    }

    /// Notifies a user of the newest of these messages that they are to be notified of, if there is one. Returns whether
    /// they were, or still wait for it.
    async fn notify(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        candidates: &Candidates,
        subscriptions: Vec<Subscription>,
    ) -> Result<bool, Error> {
        let decide = || self.app.store.decide(user, conversation, candidates, subscriptions.clone());
        let mut decision = decide().await?;
        if let Decision::Wait(until) = decision
            && let Some(oldest) = candidates.oldest()
        {
            self.app.store.wait_to_notify(user, &oldest, until).await?;
            // They may have said that they are active no more before they were in the list of those who wait.
            decision = decide().await?;
        }
        match decision {
            Decision::No => Ok(false),
            Decision::Wait(_) => Ok(true),
            Decision::Notify(message, receiver) => {
                self.send(user, &message, &receiver).await?;
                Ok(true)
            }
        }
    }

    /// Sends a notification to all subscriptions of a user, unless another worker did.
    async fn send(&self, user: &UserId, message: &Message, receiver: &Receiver) -> Result<(), Error> {
        let store = &self.app.store;
        // Everything that can fail comes before the claim.
        let (unread, sender) = tokio::try_join!(store.unread(user), self.name_of_sender(message, receiver))?;
        let notification =
            Notification::of(message, &receiver.row, &sender, user, unread.unmuted_unread_count);
        if store.claim_notification(user, &message.id).await? {
            self.web_push.deliver(store, user, &receiver.subscriptions, &notification).await;
        }
        Ok(())
    }

    async fn name_of_sender(&self, message: &Message, receiver: &Receiver) -> Result<String, Error> {
        if message.id.conversation.kind() == ConversationKind::Direct {
            return Ok(name_of_peer(&receiver.row, &message.sender));
        }
        let profile = self.app.store.profile(&message.sender).await?;
        let name: Option<Name> = profile.and_then(|profile| profile.shown_name());
        Ok(name.map_or_else(|| message.sender.to_string(), |name| name.to_string()))
    }
}
