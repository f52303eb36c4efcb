//! Claims: small objects that name each copy before it is made.
//!
//! Invariant: a claim is written before its copies and deleted only by the sweep, or by the bucket's lifecycle after 30
//! days. So whatever a process has copied before it died, the sweep finds. A claim lists a copy until the copy is
//! certainly gone.

use domain::error::Error;
use domain::id::{ConversationId, FileId, Stamp, UserId};
use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;

/// The prefix of claims.
pub(crate) const CLAIMS: &str = "c/";
/// How often a claim is read again when others change it at the same time.
const MAX_TURNS: u32 = 5;
/// The most copies that a claim lists, so that it stays smaller than what [`Bucket::head`] reads.
const MAX_COPIES: usize = 500;

/// A claim, by the kind of object that its copies become.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Claim {
    Message(MessageClaim),
    Picture(PictureClaim),
}

/// Which send uses an upload, and the copies made for it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageClaim {
    /// The conversation and the client id of the send or, if it has none, something random.
    by: String,
    /// The attempts that may commit or have committed. The upload is free again once each has given it back.
    attempts: Vec<Stamp>,
    /// The files that these attempts and earlier ones have copied, as far as they may exist.
    pub(crate) copies: Vec<FileId>,
}

/// The owner of the picture that an upload becomes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PictureClaim {
    /// The group or room, or the user in the form of [`crate::pictures::owner`].
    pub(crate) owner: ConversationId,
    /// The user who has set the picture.
    pub(crate) user: UserId,
}

/// An attempt of a send to use uploads.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) stamp: Stamp,
    /// The conversation and the client id of the send or, if it has none, something random.
    pub(crate) by: String,
}

/// The key of a claim. Keys sort by the time of their uploads.
pub(crate) fn key(claim: Stamp) -> String {
    format!("{CLAIMS}{claim}")
}

/// Reads a claim; `None` if there is none.
pub(crate) async fn read(bucket: &Bucket, claim: Stamp) -> Result<Option<Claim>, Error> {
    let head = bucket.head(&key(claim)).await?;
    head.map(|head| serde_json::from_slice(&head.bytes).map_err(Error::internal)).transpose()
}

/// Writes a claim that nobody shares. A repetition changes nothing.
pub(crate) async fn write(bucket: &Bucket, claim: Stamp, content: &Claim) -> Result<(), Error> {
    let body = serde_json::to_string(content).map_err(Error::internal)?;
    bucket.write_if(&key(claim), None, &body).await.map(|_| ())
}

/// Writes the claim of copies that are made of no upload.
pub(crate) async fn note(bucket: &Bucket, attempt: &Attempt, copies: &[FileId]) -> Result<(), Error> {
    let Attempt { stamp, by } = attempt.clone();
    let claim = MessageClaim { by, attempts: vec![stamp], copies: copies.to_vec() };
    write(bucket, stamp, &Claim::Message(claim)).await
}

/// Claims an upload for an attempt of a send that is about to make copies.
///
/// # Errors
/// `Invalid` if another send uses it; `Unavailable`.
pub(crate) async fn take(
    bucket: &Bucket,
    upload: Stamp,
    attempt: &Attempt,
    copies: Vec<FileId>,
) -> Result<(), Error> {
    let mut etag = None;
    let mut claim = MessageClaim::default();
    for _ in 0..MAX_TURNS {
        claim.by.clone_from(&attempt.by);
        claim.attempts.push(attempt.stamp);
        claim.copies.extend_from_slice(&copies);
        if claim.copies.len() > MAX_COPIES {
            return Err(Error::Unavailable("an upload was tried too often".into()));
        }
        if replace(bucket, upload, etag.as_deref(), claim).await? {
            return Ok(());
        }
        let found;
        (found, claim) = read_message_claim(bucket, upload).await?;
        // A retry of the call that wrote the claim finds it.
        if claim.attempts.contains(&attempt.stamp) {
            return Ok(());
        }
        if claim.by != attempt.by && !claim.attempts.is_empty() {
            return Err(Error::field("attachments", "An upload was used before."));
        }
        etag = found;
    }
    Err(Error::Unavailable("an upload is claimed by many sends at once".into()))
}

/// Gives back the claim of an attempt that cannot commit any more. `gone` are copies that certainly do not exist.
pub(crate) async fn release(
    bucket: &Bucket,
    upload: Stamp,
    attempt: &Attempt,
    gone: &[FileId],
) -> Result<(), Error> {
    for _ in 0..MAX_TURNS {
        let (etag, mut claim) = read_message_claim(bucket, upload).await?;
        if !claim.attempts.contains(&attempt.stamp) {
            return Ok(());
        }
        claim.attempts.retain(|one| *one != attempt.stamp);
        claim.copies.retain(|copy| !gone.contains(copy));
        if replace(bucket, upload, etag.as_deref(), claim).await? {
            return Ok(());
        }
    }
    Err(Error::Unavailable("an upload is claimed by many sends at once".into()))
}

/// Replaces the claim with this `ETag`. Returns `false` if it has changed.
async fn replace(
    bucket: &Bucket,
    upload: Stamp,
    etag: Option<&str>,
    claim: MessageClaim,
) -> Result<bool, Error> {
    let body = serde_json::to_string(&Claim::Message(claim)).map_err(Error::internal)?;
    Ok(bucket.write_if(&key(upload), etag, &body).await?.is_some())
}

/// Reads the claim of an upload for a message, and its `ETag`. Without one, nobody has claimed the upload.
async fn read_message_claim(bucket: &Bucket, upload: Stamp) -> Result<(Option<String>, MessageClaim), Error> {
    let Some(head) = bucket.head(&key(upload)).await? else { return Ok((None, MessageClaim::default())) };
    match serde_json::from_slice(&head.bytes).map_err(Error::internal)? {
        Claim::Message(claim) => Ok((Some(head.etag), claim)),
        Claim::Picture(_) => Err(Error::internal("an upload for a message has the claim of a picture")),
    }
}
