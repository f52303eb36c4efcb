//! Runs clients concurrently for a fixed time and aggregates their latencies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::client::{Client, Cost};
use crate::failure::Failure;
use crate::work::Work;

/// The combined results of concurrent clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Number of timed calls.
    pub count: usize,
    /// Calls per second of all clients together.
    pub per_second: f64,
    /// Median latency.
    pub p50: Duration,
    /// 99th percentile of the latency.
    pub p99: Duration,
    /// Mean cost of a call, if it was measured.
    pub cost: Option<Cost>,
}

impl Load {
    /// Computes the percentiles of some latencies.
    pub(crate) fn of(mut times: Vec<Duration>, per_second: f64) -> Self {
        times.sort_unstable();
        let rank = |hundredths: usize| (times.len() * hundredths).div_ceil(100).saturating_sub(1);
        let at = |hundredths: usize| times.get(rank(hundredths)).copied().unwrap_or_default();
        Self { count: times.len(), per_second, p50: at(50), p99: at(99), cost: None }
    }
}

/// The results of one client.
struct ClientResult {
    times: Vec<Duration>,
    began: Instant,
    ended: Instant,
    cost: Cost,
}

/// Runs each piece of work on its own client: one unmeasured step each, then all together until the time is up.
pub(crate) async fn run(address: SocketAddr, works: Vec<Work>, time: Duration) -> Result<Load, Failure> {
    let clients = works.len();
    let interleaved = works.iter().any(Work::is_interleaved);
    let start = Arc::new(Barrier::new(clients));
    let mut tasks = JoinSet::new();
    for work in works {
        tasks.spawn(run_client(address, work, start.clone(), time));
    }
    let mut results = Vec::with_capacity(clients);
    while let Some(done) = tasks.join_next().await {
        results.push(done??);
    }
    combine(&results, interleaved)
}

async fn run_client(
    address: SocketAddr,
    mut work: Work,
    start: Arc<Barrier>,
    time: Duration,
) -> Result<ClientResult, Failure> {
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
    Ok(ClientResult { times, began, ended: Instant::now(), cost })
}

fn combine(results: &[ClientResult], interleaved: bool) -> Result<Load, Failure> {
    let times: Vec<_> = results.iter().flat_map(|result| result.times.iter().copied()).collect();
    let began = results.iter().map(|result| result.began).min().ok_or("no clients")?;
    let ended = results.iter().map(|result| result.ended).max().ok_or("no clients")?;
    let calls = f64::from(u32::try_from(times.len())?);
    let per_second = if interleaved {
        let mean = times.iter().sum::<Duration>().as_secs_f64() / calls;
        f64::from(u32::try_from(results.len())?) / mean
    } else {
        calls / (ended - began).as_secs_f64()
    };
    let mut cost = Cost::default();
    for result in results {
        cost += result.cost;
    }
    Ok(Load { cost: Some(cost.mean(calls)), ..Load::of(times, per_second) })
}
