//! Scenes: what people say and do in one conversation, and how it is written to the store.
//!
//! Invariant: an interrupted scene resumes after the newest of its messages in the store, which it knows by client id,
//! so that no message is sent twice. The few actions after that message are repeated, which changes nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::content::{Edit, Text};
use domain::conversation::{Description, Row};
use domain::draft::Draft;
use domain::error::Error;
use domain::fields::FromFields;
use domain::id::{ConversationId, ConversationKind, MessageId, Stamp, UserId};
use domain::name::Name;
use domain::time::Timestamp;
use serde_json::json;
use store::{Details, InboxFilter, NewGroup, PageBounds, Sent, Store, Target};

use super::dice::Dice;
use super::people::{ago, caller, user};

/// A minute in milliseconds.
const MINUTE: i64 = 60_000;
const BEGINNING: Timestamp = Timestamp::from_millis(0);
/// Upper bound for the messages of a scene.
const MESSAGES: usize = 10_000;
/// Upper bound for the conversations of a person.
const CONVERSATIONS: usize = 100;
/// Prefix of the client ids of a scene's messages; the message's number follows.
const CLIENT_ID: &str = "demo ";

/// An action of a person. The messages of a scene are numbered from 0.
pub(super) enum Action {
    Say(Cow<'static, str>),
    Answer(usize, Cow<'static, str>),
    /// Sends a text and a picture.
    Show(&'static str, &'static str),
    Edit(usize, Cow<'static, str>),
    Delete(usize),
    /// Deletes a message for themselves.
    Hide(usize),
    /// Marks everything as read.
    Read,
    /// Deletes the conversation for themselves.
    Clear,
    Describe(&'static str),
    Promote(&'static str),
    Add(&'static str),
    Join,
    Leave,
}

impl Action {
    fn is_message(&self) -> bool {
        matches!(self, Self::Say(_) | Self::Answer(..) | Self::Show(..))
    }
}

/// A person's name and action.
pub(super) type Step = (&'static str, Action);

/// Sends a text that is known at compile time.
pub(super) const fn say(text: &'static str) -> Action {
    Action::Say(Cow::Borrowed(text))
}

pub(super) const fn answer(number: usize, text: &'static str) -> Action {
    Action::Answer(number, Cow::Borrowed(text))
}

pub(super) const fn edit(number: usize, text: &'static str) -> Action {
    Action::Edit(number, Cow::Borrowed(text))
}

/// The conversation of a scene.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Direct(&'static str, &'static str),
    /// The creator, the name, and the other initial participants.
    Group(&'static str, &'static str, &'static [&'static str]),
    /// The creator, the name, and the description.
    Room(&'static str, &'static str, &'static str),
}

/// The steps in a conversation, with the minutes since they began and ended.
pub(super) struct Scene {
    pub(super) place: Place,
    pub(super) began: i64,
    pub(super) ended: i64,
    pub(super) steps: Vec<Step>,
}

/// A scene's messages in the store, by their number in the scene.
type SentMessages = BTreeMap<usize, MessageId>;

fn id_of(sent: &SentMessages, number: usize) -> Result<&MessageId, Error> {
    sent.get(&number).ok_or(Error::NotFound("There is no such message."))
}

impl Scene {
    /// Writes the scene, or the rest of it, to the store. Stops without an error if someone has changed what the rest
    /// depends on.
    pub(super) async fn play(&self, store: &Store) -> Result<(), Error> {
        match self.resume(store).await {
            Err(error) if error.status().is_client_error() => Ok(()),
            outcome => outcome,
        }
    }

    async fn resume(&self, store: &Store) -> Result<(), Error> {
        let conversation = self.place.open(&ago(store, self.began * MINUTE)).await?;
        let mut sent = self.place.sent(store, &conversation).await?;
        let newest = sent.last_key_value().map(|(number, _)| *number);
        let mut next = 0;
        for ((who, action), millis) in self.steps.iter().zip(self.times()) {
            let number = next;
            next += usize::from(action.is_message());
            if newest >= Some(number) {
                continue;
            }
            let store = ago(store, millis);
            if action.is_message() {
                let id = self.place.send(&store, &conversation, (who, number), action, &sent).await?;
                sent.insert(number, id);
            } else {
                change(&store, &conversation, who, action, &sent).await?;
            }
        }
        Ok(())
    }

    /// Returns how many milliseconds ago each step happens: at short intervals with some long breaks.
    fn times(&self) -> Vec<i64> {
        let mut dice = Dice::seeded(self.steps.len() as u64);
        let mut passed = 0;
        let offsets = self.steps.iter().map(|_| {
            passed += if dice.once_in(6) { 60 } else { 1 + dice.below(8) };
            passed
        });
        let offsets: Vec<usize> = offsets.collect();
        let total = offsets.last().copied().unwrap_or(1);
        let span = usize::try_from((self.began - self.ended) * MINUTE).unwrap_or_default();
        let from_now =
            |offset: &usize| self.began * MINUTE - i64::try_from(span * offset / total).unwrap_or_default();
        offsets.iter().map(from_now).collect()
    }
}

impl Place {
    /// Returns the creator, who sees all messages.
    fn host(self) -> &'static str {
        match self {
            Self::Direct(host, _) | Self::Group(host, ..) | Self::Room(host, ..) => host,
        }
    }

    /// Creates the conversation, unless it exists. Returns its id.
    async fn open(self, store: &Store) -> Result<ConversationId, Error> {
        let host = caller(self.host())?;
        match self {
            Self::Direct(_, other) => Ok(store.open_direct(&host, &user(other)?).await?.conversation),
            Self::Group(_, name, others) => {
                let participants = others.iter().map(|other| user(other)).collect::<Result<_, _>>()?;
                let new =
                    NewGroup { name: parse_name(name)?, participants, client_id: Some(name.to_owned()) };
                Ok(store.create_group(&host, new).await?.conversation)
            }
            Self::Room(_, name, about) => {
                let about = Description::try_from(about.to_owned()).map_err(Error::internal)?;
                match store.create_room(&host, &parse_name(name)?, Some(&about)).await {
                    Ok(opened) => Ok(opened.conversation),
                    Err(taken @ Error::AlreadyExists(_)) => room(store, &host.user, name).await?.ok_or(taken),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Loads the ids of the messages that an earlier run sent.
    async fn sent(self, store: &Store, conversation: &ConversationId) -> Result<SentMessages, Error> {
        let bounds =
            PageBounds { after: Some(Stamp::first_of(BEGINNING)), limit: MESSAGES, ..PageBounds::default() };
        let page = store.page(&user(self.host())?, conversation, bounds).await?;
        let messages = page.into_iter().flat_map(|page| page.messages);
        let sent = messages.filter_map(|message| {
            let number = message.content.client_message_id.as_ref()?.strip_prefix(CLIENT_ID)?.parse().ok()?;
            Some((number, message.id))
        });
        Ok(sent.collect())
    }

    async fn send(
        self,
        store: &Store,
        conversation: &ConversationId,
        (who, number): (&str, usize),
        action: &Action,
        sent: &SentMessages,
    ) -> Result<MessageId, Error> {
        let mut fields = json!({"client_message_id": format!("{CLIENT_ID}{number}")});
        match self {
            Self::Direct(host, other) => {
                fields["recipient_id"] = json!(if who == host { other } else { host });
            }
            Self::Group(..) | Self::Room(..) => fields["conversation_id"] = json!(conversation),
        }
        match action {
            Action::Answer(question, text) => {
                fields["message_text"] = json!(text);
                fields["reply_to"] = json!(id_of(sent, *question)?);
            }
            Action::Show(text, url) => {
                fields["message_text"] = json!(text);
                fields["attachment_url"] = json!(url);
                fields["attachment_type"] = json!("image/png");
            }
            Action::Say(text) => fields["message_text"] = json!(text),
            _ => {}
        }
        let draft = Draft::from_fields(serde_json::from_value(fields).map_err(Error::internal)?)?;
        match store.append_message(&caller(who)?, draft).await? {
            Sent::New(message, ..) | Sent::Duplicate(message) => Ok(message.id),
        }
    }
}

/// Does an action that is not a message.
async fn change(
    store: &Store,
    conversation: &ConversationId,
    who: &str,
    action: &Action,
    sent: &SentMessages,
) -> Result<(), Error> {
    let me = user(who)?;
    match action {
        Action::Edit(number, text) => {
            let text = Text::try_from(text.to_string()).map_err(Error::internal)?;
            drop(store.edit_message(&me, id_of(sent, *number)?, &Edit::of_text(text)).await?);
        }
        Action::Delete(number) => drop(store.delete_message(&me, id_of(sent, *number)?).await?),
        Action::Hide(number) => drop(store.hide_message(&me, id_of(sent, *number)?).await?),
        Action::Read => drop(store.mark_read(&me, conversation, Target::Newest, None).await?),
        Action::Clear => drop(store.delete_conversation(&me, conversation).await?),
        Action::Describe(text) => {
            let description = Description::try_from((*text).to_owned()).map_err(Error::internal)?;
            let details = Details { description: Some(Some(description)), ..Details::default() };
            drop(store.change_details(&me, conversation, &details).await?);
        }
        Action::Promote(other) => drop(store.set_admin(&me, conversation, &user(other)?, true).await?),
        Action::Add(other) => {
            drop(store.add_participants(&caller(who)?, conversation, vec![user(other)?]).await?);
        }
        Action::Join => drop(store.join(&caller(who)?, conversation).await?),
        Action::Leave => match store.remove_participant(&me, conversation, &me).await {
            Ok(_) | Err(Error::NotAParticipant) => {}
            Err(error) => return Err(error),
        },
        Action::Say(_) | Action::Answer(..) | Action::Show(..) => {}
    }
    Ok(())
}

/// Finds the room with this name among a user's conversations.
async fn room(store: &Store, host: &UserId, name: &str) -> Result<Option<ConversationId>, Error> {
    let rows = store.inbox(host, InboxFilter::default(), None, 0, CONVERSATIONS).await?.rows;
    let is_it = |(conversation, row): &(ConversationId, Row)| {
        conversation.kind() == ConversationKind::Room
            && row.name.as_ref().is_some_and(|found| found.to_string() == name)
    };
    Ok(rows.into_iter().find(is_it).map(|(conversation, _)| conversation))
}

pub(super) fn parse_name(name: &str) -> Result<Name, Error> {
    Name::try_from(name.to_owned()).map_err(Error::internal)
}
