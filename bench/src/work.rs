//! What one client does over and over, and what of it is timed.

use std::time::Duration;

use http::Method;

use crate::Failure;
use crate::client::{Answer, Call, Client, Cost, User};
use crate::text::Texts;

/// A client's work.
pub(crate) enum Work {
    /// The same request.
    Get(Call),
    /// A search, followed over its empty pages to the first hits or the end.
    Search {
        /// Who searches.
        user: User,
        /// The path with its query, without a cursor.
        path: String,
    },
    /// A look for new events.
    Poll(Follower),
    /// Another request each time.
    Make(Box<dyn FnMut() -> Result<Call, Failure> + Send>),
    /// Marks a message read that has just been sent, untimed.
    Mark {
        /// Who sends.
        sender: User,
        /// Who reads.
        reader: User,
        /// What.
        texts: Texts,
    },
}

/// One operation, done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timed {
    /// How long it took.
    pub took: Duration,
    /// What it cost.
    pub cost: Cost,
}

impl From<&Answer> for Timed {
    fn from(answer: &Answer) -> Self {
        Self { took: answer.took, cost: answer.cost }
    }
}

impl Work {
    /// Whether something untimed happens between the timed calls.
    pub(crate) fn is_interleaved(&self) -> bool {
        matches!(self, Self::Mark { .. })
    }

    /// Does it once.
    pub(crate) async fn step(&mut self, client: &mut Client) -> Result<Timed, Failure> {
        match self {
            Self::Get(call) => Ok(Timed::from(&client.call(call.clone()).await?)),
            Self::Search { user, path } => search(client, user, path).await,
            Self::Poll(follower) => {
                if follower.cursor.is_none() {
                    follower.catch_up(client).await?;
                }
                Ok(Timed::from(&follower.poll(client).await?))
            }
            Self::Make(next) => Ok(Timed::from(&client.call(next()?).await?)),
            Self::Mark { sender, reader, texts } => {
                let sent = client.call(sender.send(&reader.id, &texts.usual())).await?.json()?;
                let id = sent["data"]["id"].as_str().ok_or("a message without an id")?;
                let call = reader.call(Method::PUT, &format!("/api/messages/mark-as-read/{id}"))?;
                Ok(Timed::from(&client.call(call).await?))
            }
        }
    }
}

/// A reader of a user's events, who follows their cursor.
pub(crate) struct Follower {
    user: User,
    cursor: Option<String>,
}

impl Follower {
    /// A reader without a cursor: the first poll gives one, and nothing else.
    pub(crate) fn new(user: User) -> Self {
        Self { user, cursor: None }
    }

    /// Takes a first cursor, and follows it past what is not new.
    pub(crate) async fn catch_up(&mut self, client: &mut Client) -> Result<(), Failure> {
        self.poll(client).await?;
        while !self.poll(client).await?.body.starts_with(br#"{"success":true,"data":{"events":[],"#) {}
        Ok(())
    }

    /// Asks once for what is new.
    pub(crate) async fn poll(&mut self, client: &mut Client) -> Result<Answer, Failure> {
        let cursor = self.cursor.as_deref().map(|cursor| format!("?cursor={cursor}"));
        let path = format!("/api/events{}", cursor.unwrap_or_default());
        let answer = client.call(self.user.call(Method::GET, &path)?).await?;
        let cursor = answer.json()?["data"]["cursor"].as_str().map(ToOwned::to_owned);
        self.cursor = Some(cursor.ok_or("a poll without a cursor")?);
        Ok(answer)
    }
}

async fn search(client: &mut Client, user: &User, path: &str) -> Result<Timed, Failure> {
    let mut answer = client.call(user.call(Method::GET, path)?).await?;
    let mut timed = Timed::from(&answer);
    // Parsing a full page would take the server's time.
    while !answer.body.starts_with(br#"{"success":true,"data":[{"#) {
        let page = answer.json()?;
        let Some(cursor) = page["next_cursor"].as_str() else {
            return Err(format!("{path} found nothing").into());
        };
        answer = client.call(user.call(Method::GET, &format!("{path}&cursor={cursor}"))?).await?;
        timed.took += answer.took;
        timed.cost += answer.cost;
    }
    Ok(timed)
}
