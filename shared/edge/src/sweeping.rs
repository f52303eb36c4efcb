//! The sweep: settles the claims of uploads that can no longer be used, and removes copies that nothing holds.
//!
//! Invariant: a copy is removed only if no send can commit it any more and no message holds it, not even one that is
//! deleted and can be restored. A claim is deleted only once its copies are settled. So a sweep may die anywhere, and two
//! may run at once. A copy that is removed is kept for 30 days more, as the files of deleted messages are.
//!
//! An upload can be used for a day, and S3 refuses the calls of clocks that are more than 15 minutes wrong. So if a sweep
//! and a send both reach S3, and the upload is 25 hours old by the clock of the sweep, the send began at least half an
//! hour ago: functions live for 15 s.

use std::collections::{BTreeMap, BTreeSet};

use async_recursion::async_recursion as boxed;
use domain::error::Error;
use domain::id::{ConversationId, FileId, Stamp};
use domain::time::Timestamp;
use store::Store;

use crate::claims::{self, CLAIMS, Claim};
use crate::files::{Files, UPLOAD_LIFE};
use crate::pictures;

/// Milliseconds for which a claim stays after its upload has expired.
const MARGIN: i64 = 3_600_000;
/// The messages that are read first: a message follows its files closely.
const FIRST_PAGE: usize = 8;
/// The messages that are read at a time if these do not hold the files.
const PAGE: usize = 500;

/// Returns up to 300 claims that are due, the oldest first, from behind one of them or the beginning.
///
/// # Errors
/// `Unavailable` if the storage is.
#[boxed]
pub async fn due_claims(store: &Store, files: &Files, after: Option<Stamp>) -> Result<Vec<Stamp>, Error> {
    if !files.is_on() {
        return Ok(Vec::new());
    }
    let listed = files.bucket()?.list(CLAIMS, after.map(claims::key).as_deref()).await?;
    let claims = listed.iter().filter_map(|key| key.strip_prefix(CLAIMS)?.parse::<Stamp>().ok());
    let end = newest_due(store);
    Ok(claims.take_while(|claim| *claim < end).collect())
}

/// Removes the copies of a claim that nothing holds, then the claim. Returns the number of removed copies.
///
/// # Errors
/// `Unavailable` if the storage or the database is, or if a message is being restored. The claim then stays.
#[boxed]
pub async fn settle(store: &Store, files: &Files, claim: Stamp) -> Result<usize, Error> {
    let bucket = files.bucket()?;
    let removed = match claims::read(bucket, claim).await? {
        // Another sweep was faster.
        None => return Ok(0),
        Some(Claim::Message(claim)) => {
            let orphans = orphans(store, files, claim.copies).await?;
            files.remove(&orphans).await?;
            orphans.len()
        }
        Some(Claim::Picture(claim)) => {
            let current = store.picture_of(&claim.owner, &claim.user).await?;
            pictures::remove_others(files, &claim.owner, current, newest_due(store)).await?
        }
    };
    bucket.delete(&claims::key(claim)).await?;
    Ok(removed)
}

/// The first upload that may still be used.
fn newest_due(store: &Store) -> Stamp {
    Stamp::first_of(Timestamp::from_millis(store.now().millis() - UPLOAD_LIFE - MARGIN))
}

/// Returns the copies that exist although no message holds them.
async fn orphans(store: &Store, files: &Files, copies: Vec<FileId>) -> Result<Vec<FileId>, Error> {
    let mut by_conversation = BTreeMap::<ConversationId, BTreeSet<Stamp>>::new();
    for copy in copies {
        by_conversation.entry(copy.conversation).or_default().insert(copy.stamp);
    }
    let mut orphans = Vec::new();
    for (conversation, copies) in by_conversation {
        orphans.extend(orphans_in(store, files, &conversation, copies).await?);
    }
    Ok(orphans)
}

async fn orphans_in(
    store: &Store,
    files: &Files,
    conversation: &ConversationId,
    mut copies: BTreeSet<Stamp>,
) -> Result<Vec<FileId>, Error> {
    let Some(oldest) = copies.first().copied() else { return Ok(Vec::new()) };
    let page = store.held_files(conversation, oldest, FIRST_PAGE).await?;
    copies.retain(|copy| !page.files.contains(copy));
    let mut left = Vec::new();
    for stamp in copies {
        let file = FileId { conversation: conversation.clone(), stamp };
        if files.has(&file).await? {
            left.push(file);
        }
    }
    // A clock that was set back between the copy and the commit has given the message an older stamp. A clock that was
    // ahead may have given it a newer one than any time: so the search does not end before the conversation does.
    let begin = Timestamp::from_millis(oldest.time().millis() - UPLOAD_LIFE);
    let mut after = Some(Stamp::first_of(begin));
    while let Some(stamp) = after.filter(|_| !left.is_empty()) {
        let page = store.held_files(conversation, stamp, PAGE).await?;
        left.retain(|file| !page.files.contains(&file.stamp));
        after = page.next;
    }
    Ok(left)
}
