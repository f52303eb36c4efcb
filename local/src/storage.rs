//! S3 on one machine: the calls that Tidings makes, and the forms and links that browsers use, on a port of its own.
//!
//! Invariant: it refuses what S3 refuses. Each call carries a valid signature, each form a signed policy whose every
//! condition holds, and an object appears only when all of its bytes are on disk (complete, in a stack in memory).

mod bucket;
mod failure;
mod form;
mod objects;
mod policy;
mod routes;
mod signature;
mod temporary;

pub use bucket::{BUCKET, Storage};
pub use routes::routes;
pub use signature::Keys;
