//! What is measured, by its name in the table.

use http::Method;

use crate::Failure;
use crate::client::User;
use crate::report::grouped;
use crate::seed::{Pair, Stage, UNREAD};
use crate::text::{COMMON, RARE, Texts};
use crate::work::{Follower, Work};

/// Something to measure.
pub(crate) struct Operation {
    /// What it is called in the table.
    pub name: String,
    work: Box<dyn Fn(usize) -> Work>,
}

impl Operation {
    pub(crate) fn new(name: impl Into<String>, work: impl Fn(usize) -> Work + 'static) -> Self {
        Self { name: name.into(), work: Box::new(work) }
    }

    /// The work of the client with that index.
    pub(crate) fn work(&self, index: usize) -> Work {
        (self.work)(index)
    }
}

/// What writes: each client in a conversation of its own, or all in one.
pub(crate) fn writes(pairs: &[Pair]) -> Vec<Operation> {
    let (sending, marking) = (pairs.to_vec(), pairs.to_vec());
    let mut operations = vec![Operation::new("send", move |index| send(&sending[index % sending.len()], 0))];
    if let Some(one) = pairs.first().cloned() {
        operations.push(Operation::new("send, one pair", move |index| send(&one, index)));
    }
    operations.push(Operation::new("mark as read", move |index| mark(&marking[index % marking.len()])));
    operations
}

/// What reads, at the size of a stage.
pub(crate) fn reads(stage: &Stage) -> Result<Vec<Operation>, Failure> {
    let hub = &stage.pair.one;
    let (rows, messages) = (grouped(stage.size.conversations), grouped(stage.size.messages));
    let get_as = |user: &User, name: String, path: &str| -> Result<Operation, Failure> {
        let call = user.call(Method::GET, path)?;
        Ok(Operation::new(name, move |_| Work::Get(call.clone())))
    };
    let get = |name, path: &str| get_as(hub, name, path);
    let page = format!("/api/messages/conversation/{}?limit=50&mark_read=false", stage.pair.other.id);
    let search = |name: String, word: &str| {
        let path = format!("/api/messages/search?q={word}&limit=50&conversation_id={}", stage.conversation);
        let user = hub.clone();
        Operation::new(name, move |_| Work::Search { user: user.clone(), path: path.clone() })
    };
    Ok(vec![
        get(format!("inbox, 50 of {rows}"), "/api/messages/inbox?limit=50")?,
        get(format!("conversation, 50 of {messages}"), &page)?,
        get(format!("unread count, all of {rows}"), "/api/messages/unread-count")?,
        get_as(&stage.quiet, format!("unread count, {UNREAD} of {rows}"), "/api/messages/unread-count")?,
        search(format!("search, rare word, {messages}"), RARE),
        search(format!("search, common word, {messages}"), COMMON),
    ])
}

/// What writes, in the long conversation of a stage.
pub(crate) fn writes_in(stage: &Stage) -> Vec<Operation> {
    let (sending, marking) = (stage.pair.clone(), stage.pair.clone());
    let messages = grouped(stage.size.messages);
    vec![
        Operation::new(format!("send, after {messages}"), move |index| send(&sending, index)),
        Operation::new(format!("mark as read, after {messages}"), move |_| mark(&marking)),
    ]
}

/// Polls of users whose queues are empty, each of their own.
pub(crate) fn polls(users: Vec<User>) -> Operation {
    Operation::new("idle poll", move |index| Work::Poll(Follower::new(users[index % users.len()].clone())))
}

/// Clients take turns in being either of the pair.
fn send(pair: &Pair, index: usize) -> Work {
    let (from, to) = pair.turn(index);
    let (from, to, mut texts) = (from.clone(), to.id.clone(), Texts::new(index));
    Work::Make(Box::new(move || Ok(from.send(&to, &texts.usual()))))
}

fn mark(pair: &Pair) -> Work {
    Work::Mark { sender: pair.other.clone(), reader: pair.one.clone(), texts: Texts::new(0) }
}
