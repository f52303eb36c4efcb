//! `TransactWriteItems`: up to 100 writes that take effect together or not at all.
//!
//! Invariant: a second transaction with the token of an earlier one changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;
use rusqlite::Connection;
use serde::Deserialize;

use crate::capacity::{Capacity, Report, TRANSACTION, write_capacities};
use crate::error::{Error, Reason, invalid, refused};
use crate::plan::{Changed, Plan, Recording};
use crate::table::Tables;
use crate::write::{Kind, Refusal, Write, WriteInput, of_the_item};

/// Maximum number of writes.
const WRITES: usize = 100;
/// Maximum total size of the written items in bytes.
const SIZE: usize = 4 << 20;
/// How long a transaction may wait for its turn. One that has waited for longer is not run, because it may contain a time
/// that others rely on to be recent.
const MAX_WAIT: Duration = Duration::from_millis(1500);
/// How long a token is remembered.
const TOKEN_LIFE: Duration = Duration::from_mins(10);
/// Maximum number of tokens that are remembered.
const TOKENS: usize = 200_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct TransactInput {
    transact_items: Vec<TransactItem>,
    client_request_token: Option<String>,
    #[serde(default)]
    return_consumed_capacity: Report,
}

#[derive(Deserialize)]
enum TransactItem {
    Put(WriteInput),
    Update(WriteInput),
    Delete(WriteInput),
    ConditionCheck(WriteInput),
}

/// A transaction.
pub(crate) struct Transaction {
    writes: Vec<Write>,
    token: Option<Token>,
    report: Report,
}

struct Token {
    text: String,
    /// A hash of the writes, to tell a retry from another transaction with the same token.
    writes: u64,
}

/// The tokens of recent transactions, each with the hash of its writes.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    known: HashMap<String, u64>,
    order: VecDeque<(Instant, String)>,
}

impl Tokens {
    fn find(&self, token: &str) -> Option<u64> {
        self.known.get(token).copied()
    }

    fn insert(&mut self, token: Token) {
        let is_old = |(since, _): &mut (Instant, _)| since.elapsed() > TOKEN_LIFE;
        while let Some((_, oldest)) = self.order.pop_front_if(is_old) {
            self.known.remove(&oldest);
        }
        if self.order.len() >= TOKENS
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back((Instant::now(), token.text.clone()));
        self.known.insert(token.text, token.writes);
    }

    /// How many tokens are remembered.
    pub(crate) fn count(&self) -> usize {
        self.order.len()
    }

    /// Forgets the newest tokens, so that `count` are left: those of a commit that failed.
    pub(crate) fn forget_after(&mut self, count: usize) {
        while self.order.len() > count
            && let Some((_, newest)) = self.order.pop_back()
        {
            self.known.remove(&newest);
        }
    }
}

impl Transaction {
    pub(crate) fn new(input: TransactInput) -> Result<Self, Error> {
        let count = input.transact_items.len();
        if count == 0 || count > WRITES {
            return Err(invalid(format!("TransactItems must have between 1 and {WRITES} members")));
        }
        let mut writes = Vec::with_capacity(count);
        for item in input.transact_items {
            let (write, returned, report) = match item {
                TransactItem::Put(input) => input.into_write(Kind::Put),
                TransactItem::Update(input) => input.into_write(Kind::Update),
                TransactItem::Delete(input) => input.into_write(Kind::Delete),
                TransactItem::ConditionCheck(input) => input.into_write(Kind::Check),
            }?;
            if returned.is_some() || report.is_some() {
                return Err(invalid("a write of a transaction has no return values of its own"));
            }
            writes.push(write);
        }
        let token = input.client_request_token.map(|text| {
            let writes = FixedState::default().hash_one(&writes);
            Token { text, writes }
        });
        Ok(Self { writes, token, report: input.return_consumed_capacity })
    }

    /// Runs a transaction that has waited for its turn since a moment, in a batch that has changed some items before.
    pub(crate) fn run(
        self,
        connection: &Connection,
        tables: &Tables,
        tokens: &mut Tokens,
        recording: Recording,
        since: Instant,
        changed: &mut Changed,
    ) -> Result<Vec<u8>, Error> {
        let Self { writes, token, report } = self;
        if since.elapsed() > MAX_WAIT {
            return Err(refused("ThrottlingException", "The database is busy: the transaction was not run"));
        }
        if let Some(token) = &token
            && let Some(earlier) = tokens.find(&token.text)
        {
            if earlier == token.writes {
                return Ok(b"{}".to_vec());
            }
            let message = "The token was used with other parameters";
            return Err(refused("IdempotentParameterMismatchException", message));
        }
        let keys: Vec<_> = writes.iter().map(|write| write.key(tables)).collect();
        let mut seen = HashSet::new();
        for (write, key) in writes.iter().zip(&keys) {
            if key.as_ref().is_ok_and(|key| !seen.insert((&write.table, key))) {
                return Err(invalid("Transaction request cannot include multiple operations on one item"));
            }
        }
        let plans = writes.iter().zip(keys).map(|(write, key)| {
            let key = key.map_err(of_the_item)?;
            write.check(connection, tables, key)?.plan()
        });
        let plans = match all(plans)? {
            Ok(plans) => plans,
            Err(reasons) => {
                let keys = writes.iter().filter_map(|write| write.key(tables).ok());
                return Err(Error::Cancelled { reasons, may_depend_on_batch: changed.contains_any(keys) });
            }
        };
        if plans.iter().map(Plan::size).sum::<usize>() > SIZE {
            return Err(invalid("The items of a transaction must not exceed 4 MB together"));
        }
        let mut capacities = BTreeMap::<&str, Capacity>::new();
        for (write, plan) in writes.iter().zip(&plans) {
            let mut capacity = plan.apply(connection, recording)?;
            capacity.table *= TRANSACTION;
            capacities.entry(&write.table).or_default().add(&capacity);
        }
        changed.extend(plans.iter().filter(|plan| !plan.is_check).map(|plan| plan.key.clone()));
        if let Some(token) = token {
            tokens.insert(token);
        }
        Ok(answer(&capacities, report))
    }
}

/// Returns the plans of all writes, or the reasons of those that are refused.
fn all<'a>(
    outcomes: impl Iterator<Item = Result<Plan<'a>, Refusal>>,
) -> Result<Result<Vec<Plan<'a>>, Vec<Reason>>, Error> {
    let (mut plans, mut reasons) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        reasons.push(match outcome {
            Ok(plan) => {
                plans.push(plan);
                Reason::None
            }
            Err(Refusal::Condition(found)) => Reason::ConditionFailed { found },
            Err(Refusal::Item(message)) => Reason::Invalid(message),
            Err(Refusal::Error(error)) => return Err(error),
        });
    }
    Ok(if plans.len() < reasons.len() { Err(reasons) } else { Ok(plans) })
}

fn answer(capacities: &BTreeMap<&str, Capacity>, report: Report) -> Vec<u8> {
    let mut out = Vec::new();
    write_capacities(&mut out, capacities, report, Some("WriteCapacityUnits"));
    match out.first_mut() {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
    out
}
