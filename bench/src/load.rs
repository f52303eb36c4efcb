//! Runs clients side by side for a while, and sums up how long their calls took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::Failure;
use crate::client::{Client, Cost};
use crate::work::Work;

/// What a number of clients achieved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Calls a second of all clients together.
    pub per_second: f64,
    /// The time that half of the calls stayed within.
    pub p50: Duration,
    /// The time that 99 of 100 calls stayed within.
    pub p99: Duration,
    /// What one of them cost, the mean, where the server tells.
    pub cost: Option<Cost>,
}

impl Load {
    /// Sums up times, of which so many came a second.
    pub(crate) fn of(mut times: Vec<Duration>, per_second: f64) -> Self {
        times.sort_unstable();
        let rank = |hundredths: usize| (times.len() * hundredths).div_ceil(100).saturating_sub(1);
        let at = |hundredths: usize| times.get(rank(hundredths)).copied().unwrap_or_default();
        Self { per_second, p50: at(50), p99: at(99), cost: None }
    }
}

/// What one client did.
struct Share {
    times: Vec<Duration>,
    began: Instant,
    ended: Instant,
    cost: Cost,
}

/// Gives each piece of work a client of its own. Each does it once unmeasured; then all go on until the time is up.
pub(crate) async fn run(address: SocketAddr, works: Vec<Work>, time: Duration) -> Result<Load, Failure> {
    let clients = works.len();
    let interleaved = works.iter().any(Work::is_interleaved);
    let start = Arc::new(Barrier::new(clients));
    let mut tasks = JoinSet::new();
    for work in works {
        tasks.spawn(share(address, work, start.clone(), time));
    }
    let mut shares = Vec::with_capacity(clients);
    while let Some(done) = tasks.join_next().await {
        shares.push(done??);
    }
    sum_up(&shares, interleaved)
}

async fn share(
    address: SocketAddr,
    mut work: Work,
    start: Arc<Barrier>,
    time: Duration,
) -> Result<Share, Failure> {
    let mut client = Client::connect(address).await?;
    work.step(&mut client).await?;
    start.wait().await;
    let began = Instant::now();
    let (mut times, mut cost) = (Vec::new(), Cost::default());
    while began.elapsed() < time || times.is_empty() {
        let done = work.step(&mut client).await?;
        times.push(done.took);
        cost += done.cost;
    }
    Ok(Share { times, began, ended: Instant::now(), cost })
}

fn sum_up(shares: &[Share], interleaved: bool) -> Result<Load, Failure> {
    let times: Vec<_> = shares.iter().flat_map(|share| share.times.iter().copied()).collect();
    let began = shares.iter().map(|share| share.began).min().ok_or("no clients")?;
    let ended = shares.iter().map(|share| share.ended).max().ok_or("no clients")?;
    let calls = f64::from(u32::try_from(times.len())?);
    let per_second = if interleaved {
        let mean = times.iter().sum::<Duration>().as_secs_f64() / calls;
        f64::from(u32::try_from(shares.len())?) / mean
    } else {
        calls / (ended - began).as_secs_f64()
    };
    let mut cost = Cost::default();
    for share in shares {
        cost += share.cost;
    }
    Ok(Load { cost: Some(cost.over(calls)), ..Load::of(times, per_second) })
}
