//! Three people and a few messages, to try things with.

use shared::app::App;
use shared::auth::Caller;
use shared::error::Error;
use shared::id::UserId;
use shared::message::Draft;
use shared::user::Name;

/// The people: id and name.
pub const PEOPLE: [(&str, &str); 3] =
    [("alice", "Alice Sommer"), ("bob", "Bob Okafor"), ("carol", "Carol Núñez")];

/// Who says what to whom, oldest first.
const MESSAGES: [(&str, &str, &str); 8] = [
    ("alice", "bob", "Good morning! Did the boxes arrive?"),
    ("bob", "alice", "Two of three. The third is still on its way."),
    ("alice", "bob", "Then let us wait with the unpacking 📦"),
    ("carol", "alice", "¿Vienes mañana a la reunión?"),
    ("alice", "carol", "Yes, at nine. Shall I bring coffee?"),
    ("carol", "alice", "Bitte, und ein Stück Kuchen aus der Großbäckerei!"),
    ("bob", "carol", "東京の写真をありがとう"),
    ("bob", "alice", "Here is the third one."),
];

/// Makes the people, and their messages where there are none yet.
///
/// # Errors
/// Where the store refuses.
pub async fn fill(app: &App) -> Result<(), Error> {
    let mut callers = Vec::new();
    for (id, name) in PEOPLE {
        let user: UserId = id.parse().map_err(Error::internal)?;
        let expires = app.store.now();
        let caller = Caller { user, name: Name::shortened(name), picture: None, expires, session: None };
        app.store.see_user(&caller).await?;
        callers.push(caller);
    }
    let Some(first) = callers.first() else { return Ok(()) };
    if app.store.inbox(&first.user, None, 0, 1).await?.total > 0 {
        return Ok(());
    }
    for (from, to, text) in MESSAGES {
        let draft = Draft::text_to(to.parse().map_err(Error::internal)?, text)?;
        if let Some(caller) = callers.iter().find(|caller| caller.user.as_str() == from) {
            app.store.append_message(caller, draft).await?;
        }
    }
    Ok(())
}
