//! Scenes: what people say and do in one conversation, and how it is played to the store.
//!
//! Invariant: a scene that was interrupted goes on after the newest of its messages that is there, known by its client
//! id. The few things done since are done again, which changes nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::conversation::{Description, Row};
use domain::error::Error;
use domain::fields::FromFields;
use domain::id::{ConversationId, ConversationKind, MessageId, Stamp, UserId};
use domain::message::Draft;
use domain::name::Name;
use domain::time::Timestamp;
use serde_json::json;
use store::{Details, NewGroup, PageBounds, Sent, Store, Target};

use super::dice::Dice;
use super::{ago, caller, user};

/// Milliseconds.
const MINUTE: i64 = 60_000;
const BEGINNING: Timestamp = Timestamp::from_millis(0);
/// More messages than a scene has, and more conversations than anyone.
const MESSAGES: usize = 10_000;
const CONVERSATIONS: usize = 100;
/// What the client id of a scene's message begins with; its number follows.
const CLIENT_ID: &str = "demo ";

/// What someone does. Messages of the scene are numbered from 0.
pub(super) enum Deed {
    Say(Cow<'static, str>),
    Answer(usize, Cow<'static, str>),
    /// Shows a picture.
    Show(&'static str, &'static str),
    Edit(usize, Cow<'static, str>),
    Delete(usize),
    /// Deletes a message for themselves.
    Hide(usize),
    /// Reads all there is.
    Read,
    /// Deletes the conversation for themselves.
    Clear,
    Describe(&'static str),
    Promote(&'static str),
    Add(&'static str),
    Join,
    Leave,
}

impl Deed {
    fn is_message(&self) -> bool {
        matches!(self, Self::Say(_) | Self::Answer(..) | Self::Show(..))
    }
}

/// Who does what.
pub(super) type Act = (&'static str, Deed);

/// Says something that is known when this is compiled.
pub(super) const fn say(text: &'static str) -> Deed {
    Deed::Say(Cow::Borrowed(text))
}

pub(super) const fn answer(number: usize, text: &'static str) -> Deed {
    Deed::Answer(number, Cow::Borrowed(text))
}

pub(super) const fn edit(number: usize, text: &'static str) -> Deed {
    Deed::Edit(number, Cow::Borrowed(text))
}

/// Where a scene plays.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Direct(&'static str, &'static str),
    /// Whoever makes it, its name, and who takes part from the beginning.
    Group(&'static str, &'static str, &'static [&'static str]),
    /// Whoever makes it, its name, and what it is about.
    Room(&'static str, &'static str, &'static str),
}

/// A conversation, from some minutes ago until some minutes ago.
pub(super) struct Scene {
    pub(super) place: Place,
    pub(super) began: i64,
    pub(super) ended: i64,
    pub(super) acts: Vec<Act>,
}

/// A conversation's messages so far, by their number in the scene.
type Said = BTreeMap<usize, MessageId>;

fn found(said: &Said, number: usize) -> Result<&MessageId, Error> {
    said.get(&number).ok_or(Error::NotFound("There is no such message."))
}

impl Scene {
    /// Plays it, or the rest of it. Where somebody has changed what it goes on from, it ends.
    pub(super) async fn play(&self, store: &Store) -> Result<(), Error> {
        match self.go_on(store).await {
            Err(error) if error.status().is_client_error() => Ok(()),
            played => played,
        }
    }

    async fn go_on(&self, store: &Store) -> Result<(), Error> {
        let conversation = self.place.open(&ago(store, self.began * MINUTE)).await?;
        let mut said = self.place.said(store, &conversation).await?;
        let newest = said.last_key_value().map(|(number, _)| *number);
        let mut next = 0;
        for ((who, deed), millis) in self.acts.iter().zip(self.times()) {
            let number = next;
            next += usize::from(deed.is_message());
            if newest >= Some(number) {
                continue;
            }
            let store = ago(store, millis);
            if deed.is_message() {
                let id = self.place.send(&store, &conversation, (who, number), deed, &said).await?;
                said.insert(number, id);
            } else {
                change(&store, &conversation, who, deed, &said).await?;
            }
        }
        Ok(())
    }

    /// How many milliseconds ago each act is: in small steps, with a break now and then.
    fn times(&self) -> Vec<i64> {
        let mut dice = Dice::seeded(self.acts.len() as u64);
        let mut passed = 0;
        let steps = self.acts.iter().map(|_| {
            passed += if dice.once_in(6) { 60 } else { 1 + dice.below(8) };
            passed
        });
        let steps: Vec<usize> = steps.collect();
        let all = steps.last().copied().unwrap_or(1);
        let span = usize::try_from((self.began - self.ended) * MINUTE).unwrap_or_default();
        let from_now =
            |step: &usize| self.began * MINUTE - i64::try_from(span * step / all).unwrap_or_default();
        steps.iter().map(from_now).collect()
    }
}

impl Place {
    /// Whoever makes it, and sees all of it.
    fn host(self) -> &'static str {
        match self {
            Self::Direct(host, _) | Self::Group(host, ..) | Self::Room(host, ..) => host,
        }
    }

    /// Makes the conversation, unless it is there.
    async fn open(self, store: &Store) -> Result<ConversationId, Error> {
        let host = caller(self.host())?;
        match self {
            Self::Direct(_, other) => Ok(store.open_direct(&host, &user(other)?).await?.conversation),
            Self::Group(_, name, others) => {
                let participants = others.iter().map(|other| user(other)).collect::<Result<_, _>>()?;
                let new = NewGroup { name: named(name)?, participants, client_id: Some(name.to_owned()) };
                Ok(store.create_group(&host, new).await?.conversation)
            }
            Self::Room(_, name, about) => {
                let about = Description::try_from(about.to_owned()).map_err(Error::internal)?;
                match store.create_room(&host, &named(name)?, Some(&about)).await {
                    Ok(opened) => Ok(opened.conversation),
                    Err(taken @ Error::AlreadyExists(_)) => room(store, &host.user, name).await?.ok_or(taken),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// What was said before.
    async fn said(self, store: &Store, conversation: &ConversationId) -> Result<Said, Error> {
        let bounds =
            PageBounds { after: Some(Stamp::first_of(BEGINNING)), limit: MESSAGES, ..PageBounds::default() };
        let page = store.page(&user(self.host())?, conversation, bounds).await?;
        let messages = page.into_iter().flat_map(|page| page.messages);
        let said = messages.filter_map(|message| {
            let number = message.content.client_message_id.as_ref()?.strip_prefix(CLIENT_ID)?.parse().ok()?;
            Some((number, message.id))
        });
        Ok(said.collect())
    }

    async fn send(
        self,
        store: &Store,
        conversation: &ConversationId,
        (who, number): (&str, usize),
        deed: &Deed,
        said: &Said,
    ) -> Result<MessageId, Error> {
        let mut fields = json!({"client_message_id": format!("{CLIENT_ID}{number}")});
        match self {
            Self::Direct(host, other) => {
                fields["recipient_id"] = json!(if who == host { other } else { host });
            }
            Self::Group(..) | Self::Room(..) => fields["conversation_id"] = json!(conversation),
        }
        match deed {
            Deed::Answer(answered, text) => {
                fields["message_text"] = json!(text);
                fields["reply_to"] = json!(found(said, *answered)?);
            }
            Deed::Show(text, url) => {
                fields["message_text"] = json!(text);
                fields["attachment_url"] = json!(url);
                fields["attachment_type"] = json!("image/png");
            }
            Deed::Say(text) => fields["message_text"] = json!(text),
            _ => {}
        }
        let draft = Draft::from_fields(serde_json::from_value(fields).map_err(Error::internal)?)?;
        match store.append_message(&caller(who)?, draft).await? {
            Sent::New(message, ..) | Sent::Duplicate(message) => Ok(message.id),
        }
    }
}

async fn change(
    store: &Store,
    conversation: &ConversationId,
    who: &str,
    deed: &Deed,
    said: &Said,
) -> Result<(), Error> {
    let me = user(who)?;
    match deed {
        Deed::Edit(number, text) => drop(store.edit_message(&me, found(said, *number)?, text).await?),
        Deed::Delete(number) => drop(store.delete_message(&me, found(said, *number)?).await?),
        Deed::Hide(number) => drop(store.hide_message(&me, found(said, *number)?).await?),
        Deed::Read => drop(store.mark_read(&me, conversation, Target::Newest, None).await?),
        Deed::Clear => drop(store.delete_conversation(&me, conversation).await?),
        Deed::Describe(text) => {
            let description = Description::try_from((*text).to_owned()).map_err(Error::internal)?;
            let details = Details { description: Some(Some(description)), ..Details::default() };
            drop(store.change_details(&me, conversation, &details).await?);
        }
        Deed::Promote(other) => drop(store.set_admin(&me, conversation, &user(other)?, true).await?),
        Deed::Add(other) => {
            drop(store.add_participants(&caller(who)?, conversation, vec![user(other)?]).await?);
        }
        Deed::Join => drop(store.join(&caller(who)?, conversation).await?),
        Deed::Leave => match store.remove_participant(&me, conversation, &me).await {
            Ok(_) | Err(Error::NotAParticipant) => {}
            Err(error) => return Err(error),
        },
        Deed::Say(_) | Deed::Answer(..) | Deed::Show(..) => {}
    }
    Ok(())
}

/// The room of that name among someone's conversations.
async fn room(store: &Store, host: &UserId, name: &str) -> Result<Option<ConversationId>, Error> {
    let rows = store.inbox(host, None, 0, CONVERSATIONS).await?.rows;
    let is_it = |(conversation, row): &(ConversationId, Row)| {
        conversation.kind() == ConversationKind::Room
            && row.name.as_ref().is_some_and(|found| found.to_string() == name)
    };
    Ok(rows.into_iter().find(is_it).map(|(conversation, _)| conversation))
}

pub(super) fn named(name: &str) -> Result<Name, Error> {
    Name::try_from(name.to_owned()).map_err(Error::internal)
}
