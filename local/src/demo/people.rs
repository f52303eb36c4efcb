//! The demo's people.

use domain::caller::Caller;
use domain::error::Error;
use domain::id::{Clock, UserId};
use domain::name::Name;
use store::Store;

/// The demo's people: id and name. Usernames equal ids.
pub const PEOPLE: [(&str, &str); 8] = [
    ("alice", "Alice Sommer"),
    ("bob", "Bob Okafor"),
    ("carol", "Carol Núñez"),
    ("eleni", "Ελένη Παππά"),
    ("farah", "فرح خوري"),
    ("mei", "陈美玲"),
    ("priya", "प्रिया शर्मा"),
    ("yuki", "佐藤ゆき"),
];

/// Returns a person as the caller of a store method.
pub(super) fn caller(id: &str) -> Result<Caller, Error> {
    let name = PEOPLE.iter().find(|(known, _)| *known == id).and_then(|(_, name)| Name::shortened(name));
    Ok(Caller { user: user(id)?, name, picture: None, expires: Clock::default().now(), session: None })
}

pub(super) fn user(id: &str) -> Result<UserId, Error> {
    id.parse().map_err(Error::internal)
}

/// Returns the store with its clock set back by `millis` milliseconds.
pub(super) fn ago(store: &Store, millis: i64) -> Store {
    store.clone().with_clock(Clock::off_by(-millis))
}
