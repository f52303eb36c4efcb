//! The steps that a client repeats, and which part of them is timed.

use std::time::Duration;

use http::Method;

use crate::client::{Answer, Call, Client, Cost, User};
use crate::failure::Failure;
use crate::text::Texts;

/// The step that a client repeats.
pub(crate) enum Work {
    /// Repeats the same request.
    Get(Call),
    /// Searches, and follows the cursor over empty pages to the first hits, or to the end.
    Search {
        /// Whether there are hits; fails if this is wrong.
        finds: bool,
        /// The user who searches.
        user: User,
        /// The path and query, without a cursor.
        path: String,
    },
    /// Polls for new events.
    Poll(Follower),
    /// Makes a new request each time.
    Make(Box<dyn FnMut() -> Result<Call, Failure> + Send>),
    /// Sends a message, untimed, and marks it as read.
    Mark {
        /// The sender.
        sender: User,
        /// The receiver, who marks the message as read.
        reader: User,
        /// The texts to send.
        texts: Texts,
    },
}

/// The measurements of one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timed {
    /// Latency of its timed calls.
    pub took: Duration,
    /// Cost of its timed calls.
    pub cost: Cost,
}

impl From<&Answer> for Timed {
    fn from(answer: &Answer) -> Self {
        Self { took: answer.took, cost: answer.cost }
    }
}

impl Work {
    /// Whether untimed calls are made between the timed ones.
    pub(crate) fn is_interleaved(&self) -> bool {
        matches!(self, Self::Mark { .. })
    }

    /// Runs one step.
    pub(crate) async fn step(&mut self, client: &mut Client) -> Result<Timed, Failure> {
        match self {
            Self::Get(call) => Ok(Timed::from(&client.call(call.clone()).await?)),
            Self::Search { finds, user, path } => search(client, user, path, *finds).await,
            Self::Poll(follower) => {
                if follower.cursor.is_none() {
                    follower.catch_up(client).await?;
                }
                Ok(Timed::from(&follower.poll(client).await?))
            }
            Self::Make(next) => Ok(Timed::from(&client.call(next()?).await?)),
            Self::Mark { sender, reader, texts } => {
                let sent = client.call(sender.send(&reader.id, &texts.usual())?).await?.json()?;
                let id = sent["data"]["id"].as_str().ok_or("a message without an id")?;
                let call = reader.call(&Method::PUT, &format!("/api/messages/mark-as-read/{id}"))?;
                Ok(Timed::from(&client.call(call).await?))
            }
        }
    }
}

/// A reader of a user's event queue that follows its cursor.
pub(crate) struct Follower {
    user: User,
    cursor: Option<String>,
}

impl Follower {
    /// Creates a reader without a cursor: the first poll returns a cursor and no events.
    pub(crate) fn new(user: User) -> Self {
        Self { user, cursor: None }
    }

    /// Polls until there are no events, starting from a first cursor if the reader has none.
    pub(crate) async fn catch_up(&mut self, client: &mut Client) -> Result<(), Failure> {
        self.poll(client).await?;
        while !self.poll(client).await?.body.starts_with(br#"{"success":true,"data":{"events":[],"#) {}
        Ok(())
    }

    /// Polls once and moves the cursor.
    pub(crate) async fn poll(&mut self, client: &mut Client) -> Result<Answer, Failure> {
        let cursor = self.cursor.as_deref().map(|cursor| format!("?cursor={cursor}"));
        let path = format!("/api/events{}", cursor.unwrap_or_default());
        let answer = client.call(self.user.call(&Method::GET, &path)?).await?;
        let cursor = answer.json()?["data"]["cursor"].as_str().map(ToOwned::to_owned);
        self.cursor = Some(cursor.ok_or("a poll without a cursor")?);
        Ok(answer)
    }
}

async fn search(client: &mut Client, user: &User, path: &str, finds: bool) -> Result<Timed, Failure> {
    let mut answer = client.call(user.call(&Method::GET, path)?).await?;
    let mut timed = Timed::from(&answer);
    // Check only how the body begins: parsing a full page would take CPU time from the server.
    while !answer.body.starts_with(br#"{"success":true,"data":[{"#) {
        let page = answer.json()?;
        let Some(cursor) = page["next_cursor"].as_str() else {
            return if finds { Err(format!("{path} found nothing").into()) } else { Ok(timed) };
        };
        answer = client.call(user.call(&Method::GET, &format!("{path}&cursor={cursor}"))?).await?;
        timed.took += answer.took;
        timed.cost += answer.cost;
    }
    Ok(timed)
}
