//! Sends with attachments: the files are checked and copied first, then the message commits.
//!
//! Invariant: copies are deleted only if the message can never commit. A send without attachments costs nothing more.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::draft::Draft;
use domain::error::Error;
use store::{Sent, Store};

use crate::files::{Files, Prepared};

/// Sends a message with its attachments.
///
/// # Errors
/// Those of [`Store::append_message`]; `Invalid`, `NotUploaded` and `Unavailable` for its files. A participant who
/// repeats a client id gets the first message instead, whatever has become of the uploads.
#[boxed]
pub async fn send(store: &Store, files: &Files, caller: &Caller, draft: Draft) -> Result<Sent, Error> {
    if draft.uploads.is_empty() && draft.forward.is_none() {
        return store.append_message(caller, draft).await;
    }
    let (draft, prepared) = match prepare(store, files, caller, &draft).await {
        Ok(ready) => ready,
        Err(refusal) => {
            let first = store.sent_before(caller, &draft).await?;
            return first.map(Sent::Duplicate).ok_or(refusal);
        }
    };
    let sent = store.append_message(caller, draft).await;
    match &sent {
        // The message exists, or it may: the database did not say.
        Ok(Sent::New(..)) | Err(Error::Unavailable(_) | Error::Internal(_)) => {}
        // The first message has its own copies, and refused sends need none.
        Ok(Sent::Duplicate(_)) | Err(_) => files.undo(prepared).await,
    }
    sent
}

/// Returns the draft with copies of its uploads, or of what it forwards.
async fn prepare(
    store: &Store,
    files: &Files,
    caller: &Caller,
    draft: &Draft,
) -> Result<(Draft, Prepared), Error> {
    let conversation = draft.destination.conversation(&caller.user);
    let Some(id) = &draft.forward else {
        let prepared = files.prepare(&caller.user, &conversation, draft.client_id(), &draft.uploads).await?;
        return Ok((draft.clone().with_attachments(prepared.attachments.clone()), prepared));
    };
    let message = store.message_to_forward(&caller.user, id).await?;
    let prepared = files.duplicate(&id.conversation, &conversation, &message.content.attachments).await?;
    Ok((draft.clone().forwarding(&message, prepared.attachments.clone()), prepared))
}
