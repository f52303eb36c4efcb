//! The measured operations and their names in the table.

use http::Method;

use crate::client::User;
use crate::failure::Failure;
use crate::report::grouped;
use crate::seed::{Dataset, Pair, UNREAD};
use crate::text::{COMMON, RARE, Texts};
use crate::work::{Follower, Work};

/// An operation to measure.
pub(crate) struct Operation {
    /// The name in the table.
    pub name: String,
    work: Box<dyn Fn(usize) -> Work>,
}

impl Operation {
    pub(crate) fn new(name: impl Into<String>, work: impl Fn(usize) -> Work + 'static) -> Self {
        Self { name: name.into(), work: Box::new(work) }
    }

    /// Returns the work of the client with this index.
    pub(crate) fn work(&self, index: usize) -> Work {
        (self.work)(index)
    }
}

/// Returns the writes: each client in its own conversation, or all clients in one.
pub(crate) fn writes(pairs: &[Pair]) -> Vec<Operation> {
    let (sending, marking) = (pairs.to_vec(), pairs.to_vec());
    let mut operations = vec![Operation::new("send", move |index| send(&sending[index % sending.len()], 0))];
    if let Some(one) = pairs.first().cloned() {
        operations.push(Operation::new("send, one pair", move |index| send(&one, index)));
    }
    operations.push(Operation::new("mark as read", move |index| mark(&marking[index % marking.len()])));
    operations
}

/// Returns the reads of a dataset.
pub(crate) fn reads(dataset: &Dataset) -> Result<Vec<Operation>, Failure> {
    let hub = &dataset.pair.one;
    let (rows, messages) = (grouped(dataset.size.conversations), grouped(dataset.size.messages));
    let get_as = |user: &User, name: String, path: &str| -> Result<Operation, Failure> {
        let call = user.call(&Method::GET, path)?;
        Ok(Operation::new(name, move |_| Work::Get(call.clone())))
    };
    let get = |name, path: &str| get_as(hub, name, path);
    let page = page(dataset);
    let search = |name: String, word: &str| {
        let (user, path) = (hub.clone(), search(dataset, word));
        Operation::new(name, move |_| Work::Search { finds: true, user: user.clone(), path: path.clone() })
    };
    Ok(vec![
        get(format!("inbox, 50 of {rows}"), "/api/messages/inbox?limit=50")?,
        get(format!("conversation, 50 of {messages}"), &page)?,
        get(format!("unread count, all of {rows}"), "/api/messages/unread-count")?,
        get_as(&dataset.quiet, format!("unread count, {UNREAD} of {rows}"), "/api/messages/unread-count")?,
        search(format!("search, rare word, {messages}"), RARE),
        search(format!("search, common word, {messages}"), COMMON),
    ])
}

/// Returns the writes to the long conversation of a dataset.
pub(crate) fn writes_in(dataset: &Dataset) -> Vec<Operation> {
    let (sending, marking) = (dataset.pair.clone(), dataset.pair.clone());
    let messages = grouped(dataset.size.messages);
    vec![
        Operation::new(format!("send, after {messages}"), move |index| send(&sending, index)),
        Operation::new(format!("mark as read, after {messages}"), move |_| mark(&marking)),
    ]
}

/// Returns polls of users with empty queues, a different user for each client.
pub(crate) fn polls(users: Vec<User>) -> Operation {
    Operation::new("idle poll", move |index| Work::Poll(Follower::new(users[index % users.len()].clone())))
}

/// Returns the path of the newest 50 messages of the long conversation.
pub(crate) fn page(dataset: &Dataset) -> String {
    format!("/api/messages/conversation/{}?limit=50&mark_read=false", dataset.pair.other.id)
}

/// Returns the path of a search in the long conversation.
pub(crate) fn search(dataset: &Dataset, word: &str) -> String {
    format!("/api/messages/search?q={word}&limit=50&conversation_id={}", dataset.conversation)
}

/// Returns the work of sending as one of the pair: even clients send as `one`, odd clients as `other`.
pub(crate) fn send(pair: &Pair, index: usize) -> Work {
    let (from, to) = pair.turn(index);
    let (from, to, mut texts) = (from.clone(), to.id.clone(), Texts::new(index));
    Work::Make(Box::new(move || from.send(&to, &texts.usual())))
}

fn mark(pair: &Pair) -> Work {
    Work::Mark { sender: pair.other.clone(), reader: pair.one.clone(), texts: Texts::new(0) }
}
