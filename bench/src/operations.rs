//! What is measured, as the contract names it.

use http::Method;

use crate::Failure;
use crate::client::User;
use crate::report::grouped;
use crate::seed::{Pair, Stage};
use crate::text::{COMMON, RARE, Texts};
use crate::work::Work;

/// Something to measure.
pub struct Operation {
    /// What it is called in the table.
    pub name: String,
    work: Box<dyn Fn(u32) -> Work>,
}

impl Operation {
    fn new(name: impl Into<String>, work: impl Fn(u32) -> Work + 'static) -> Self {
        Self { name: name.into(), work: Box::new(work) }
    }

    /// The work of the client with that index.
    pub fn work(&self, index: u32) -> Work {
        (self.work)(index)
    }
}

/// What writes: each client in a conversation of its own, or all in one.
pub fn writes(pairs: &[Pair]) -> Vec<Operation> {
    let own = pairs.to_vec();
    let marked = pairs.to_vec();
    let mut operations = vec![Operation::new("send", move |index| send(pair(&own, index), index))];
    if let Some(one) = pairs.first().cloned() {
        operations.push(Operation::new("send, one pair", move |index| send(&one, index)));
    }
    operations.push(Operation::new("mark as read", move |index| mark(pair(&marked, index), index)));
    operations
}
