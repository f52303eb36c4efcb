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
    /// A new message each time.
    Send {
        /// Who writes.
        from: User,
        /// To whom.
        to: String,
        /// What.
        texts: Texts,
    },
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
            Self::Send { from, to, texts } => {
                let call = from.send(to, &texts.usual());
                Ok(Timed::from(&client.call(call).await?))
            }
            Self::Mark { sender, reader, texts } => {
                let sent = client.call(sender.send(&reader.id, &texts.usual())).await?.json()?;
                let id = sent["data"]["id"].as_str().ok_or("a message without an id")?;
                let call = reader.call(Method::PUT, &format!("/api/messages/mark-as-read/{id}"))?;
                Ok(Timed::from(&client.call(call).await?))
            }
        }
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
