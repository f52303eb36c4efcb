//! One operation, measured with several numbers of clients.

use std::time::Duration;

use crate::failure::Failure;
use crate::load;
use crate::operations::Operation;
use crate::report::{Row, say};
use crate::server::Server;

/// Numbers of concurrent clients to measure with.
pub(crate) const CLIENTS: [usize; 3] = [1, 8, 32];

/// Measures an operation with each number of clients, and prints a row for each.
pub(crate) async fn rows(
    server: &Server,
    operation: &Operation,
    clients: &[usize],
    seconds: Duration,
) -> Result<(), Failure> {
    for &clients in clients {
        let works = (0..clients).map(|index| operation.work(index)).collect();
        let load = load::run(server.address, works, seconds).await;
        let load = load.map_err(|error| format!("{}, {clients} clients: {error}", operation.name))?;
        say(&Row { name: &operation.name, clients, load }.to_string())?;
    }
    Ok(())
}
