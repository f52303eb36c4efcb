//! Pages of the inbox, and unread counts: what the two indexes answer.
//!
//! Both lag behind the table in AWS, typically by less than 100 ms.

use async_recursion::async_recursion as boxed;
use aws_sdk_dynamodb::operation::query::QueryInput;
use domain::conversation::Row;
use domain::error::Error;
use domain::fields::is_zero;
use domain::id::{ConversationId, ConversationKind, UserId};
use domain::settings::{InboxList, InboxPlace, Mute};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::inbox::{self, COUNTS, INBOX, Totals, UNREAD_MARK};
use crate::item::{Attribute, Item, from_item, text};
use crate::partition;

/// Rows that one query of a filtered page reads.
const STEP: usize = 500;
/// Rows that a filtered page reads before it leaves the rest to the next one.
const MAX_FILTERED: usize = 2_000;

/// The rows of the inbox to return.
#[derive(Debug, Clone, Copy, Default)]
pub struct InboxFilter {
    /// Only conversations of this type.
    pub kind: Option<ConversationKind>,
    /// The archived conversations instead of the others.
    pub archived: bool,
}

/// The position at which a page of the inbox ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InboxPosition {
    activity: InboxPlace,
    conversation: ConversationId,
    /// Rows that the offset still has to skip.
    #[serde(default, skip_serializing_if = "is_zero")]
    skip: usize,
}

/// A page of the inbox.
pub struct InboxPage {
    /// The rows: pinned conversations first, then the most recently active ones.
    pub rows: Vec<(ConversationId, Row)>,
    /// The position of the next page; `None` at the end.
    pub next: Option<InboxPosition>,
    /// The number of all rows of the inbox or of the archive, whatever their type.
    pub total: u64,
}

/// A user's unread counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "UnreadCount")]
pub struct Unread {
    /// Unread messages in all conversations.
    pub unread_count: u64,
    /// Conversations with unread messages.
    pub conversations: u64,
    /// Unread messages that mention the user, in conversations that are neither muted nor archived.
    pub mention_count: u64,
    /// Unread messages in conversations that are neither muted nor archived.
    pub unmuted_unread_count: u64,
    /// Conversations with unread messages that are neither muted nor archived.
    pub unmuted_conversations: u64,
}

#[derive(Deserialize)]
struct UnreadEntry {
    n: u64,
    unread: String,
    #[serde(default)]
    mn: u64,
    #[serde(default)]
    mute: i64,
}

impl Store {
    /// Returns a page of a user's inbox. It begins after the position `after` and skips `offset` rows.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn inbox(
        &self,
        user: &UserId,
        filter: InboxFilter,
        after: Option<InboxPosition>,
        offset: usize,
        limit: usize,
    ) -> Result<InboxPage, Error> {
        let offset = after.as_ref().map_or(offset, |position| position.skip);
        let (found, totals) = tokio::try_join!(
            self.rows_in_order(user, filter, after, offset + limit),
            self.get(inbox::totals_key(user), false)
        )?;
        let (items, next) = found;
        let skip = offset.saturating_sub(items.len());
        let rows = items.iter().skip(offset).map(inbox::read_row).collect::<Result<Vec<_>, _>>()?;
        let next = next.map(|position| InboxPosition { skip, ..position });
        let totals = totals.as_ref().map(from_item::<Totals>).transpose()?.unwrap_or_default();
        let total = if filter.archived { totals.archived } else { totals.rows };
        Ok(InboxPage { rows, next, total })
    }

    /// Reads up to `count` rows of a list, and where to go on.
    async fn rows_in_order(
        &self,
        user: &UserId,
        filter: InboxFilter,
        after: Option<InboxPosition>,
        count: usize,
    ) -> Result<(Vec<Item>, Option<InboxPosition>), Error> {
        let list = if filter.archived { InboxList::Archived.bounds() } else { InboxList::bounds_of_inbox() };
        let mut query = QueryInput::builder()
            .index_name(INBOX)
            .key_condition_expression("pk = :pk AND activity BETWEEN :low AND :high")
            .expression_attribute_values(":pk", partition::of_user(user).attribute())
            .expression_attribute_values(":low", list.0.attribute())
            .expression_attribute_values(":high", list.1.attribute())
            .scan_index_forward(false)
            .set_exclusive_start_key(after.map(|position| {
                let mut start = inbox::key(user, &position.conversation).attributes();
                start.insert("activity".into(), position.activity.attribute());
                start
            }));
        if let Some(kind) = filter.kind {
            query = query
                .filter_expression("begins_with(sk, :kind)")
                .expression_attribute_values(":kind", inbox::prefix_of(kind).attribute());
        }
        let (mut items, mut read) = (Vec::new(), 0);
        loop {
            let step = if filter.kind.is_some() { STEP } else { count - items.len() };
            let (found, end) = self.query_once(query.clone(), step).await?;
            items.extend(found);
            read += step;
            if items.len() > count {
                items.truncate(count);
                let next = items.last().map(position_of).transpose()?;
                return Ok((items, next));
            }
            let is_done = items.len() >= count || (filter.kind.is_some() && read >= MAX_FILTERED);
            match end {
                None => return Ok((items, None)),
                Some(end) if is_done => return Ok((items, Some(position_of(&end.into())?))),
                end => query = query.set_exclusive_start_key(end),
            }
        }
    }

    /// Returns a user's unread counts, summed over the index of rows with unread messages.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn unread(&self, user: &UserId) -> Result<Unread, Error> {
        let query = QueryInput::builder()
            .index_name(COUNTS)
            .projection_expression("n, unread, mn, mute")
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", partition::of_user(user).attribute());
        let (items, now) = (self.query_all(query).await?, self.clock.now());
        let mut sum = Unread::default();
        for item in items {
            let entry: UnreadEntry = from_item(&item)?;
            sum.unread_count += entry.n;
            sum.conversations += 1;
            if entry.unread == UNREAD_MARK && !Mute::ending(entry.mute).lasts(now) {
                sum.mention_count += entry.mn;
                sum.unmuted_unread_count += entry.n;
                sum.unmuted_conversations += 1;
            }
        }
        Ok(sum)
    }
}

/// The position of a row's item, or of the key at which a query ended.
fn position_of(item: &Item) -> Result<InboxPosition, Error> {
    let activity = InboxPlace::stored(&text(item, "activity")?);
    Ok(InboxPosition { activity, conversation: inbox::conversation_of(item)?, skip: 0 })
}
