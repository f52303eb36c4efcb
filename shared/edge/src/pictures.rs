//! The pictures of users and groups, at stable public addresses.
//!
//! Invariant: the address of a picture names its owner, and only pictures of the same owner are removed. So whoever sets
//! the address of another's picture cannot remove it. A claim comes before the copy of an upload, so the sweep removes a
//! copy that did not become the picture, and earlier pictures of the owner that were left over.

use async_recursion::async_recursion as boxed;
use domain::error::Error;
use domain::id::{ConversationId, FileId, Stamp, UserId};
use domain::links::Links;
use domain::name::Picture;

use crate::bucket::Copied;
use crate::claims::{self, Claim, PictureClaim};
use crate::files::{Files, MAX_PICTURE, Purpose, read, served_as, uploaded};
use crate::sniffing::Sniffed;

/// The path of pictures below the public URL. Their ids follow it.
pub const PICTURES_PATH: &str = "/api/pictures/";
/// How pictures are cached: another picture has another address.
const CACHED: &str = "public, max-age=31536000, immutable";

/// The owner of a user's pictures, in the form of a conversation's id: that of the user with themselves, which never
/// exists.
#[must_use]
pub fn owner(user: &UserId) -> ConversationId {
    ConversationId::direct(user, user)
}

/// Keeps an upload as a picture and returns its address. A repetition returns the same one.
///
/// # Errors
/// `Invalid` if it is not an upload of the caller's for a picture, or no JPEG, PNG or WebP; `NotUploaded`;
/// `Unavailable`; `NotFound` if attachments are off.
#[boxed]
pub async fn keep(
    files: &Files,
    links: &Links,
    caller: &UserId,
    owner: &ConversationId,
    (field, upload): (&str, &str),
) -> Result<Picture, Error> {
    let bucket = files.bucket()?;
    let token = files.open(caller, field, upload, Purpose::Picture)?;
    let claim = Claim::Picture(PictureClaim { owner: owner.clone(), user: caller.clone() });
    let (head, ()) = tokio::try_join!(read(bucket, token.key), claims::write(bucket, token.key, &claim))?;
    let sniffed = Sniffed::of(&head.bytes, false);
    if !sniffed.is_simple_picture() || head.size > MAX_PICTURE {
        return Err(Error::field(field, "A picture is a JPEG, PNG or WebP of up to 1 MiB."));
    }
    let id = FileId { conversation: owner.clone(), stamp: token.key };
    let served_as = served_as(&token.name, &sniffed, CACHED);
    match bucket.copy(&uploaded(token.key), Some(&head.etag), &key(&id), Some(&served_as)).await? {
        Copied::Done => {}
        Copied::Missing => return Err(Error::NotUploaded("The file is no longer there.")),
        Copied::Replaced => return Err(Error::Conflict("The file was replaced while it was checked.")),
    }
    let address = format!("{}{PICTURES_PATH}{id}", links.base());
    Picture::try_from(address).map_err(Error::internal)
}

/// Makes a link to a picture itself, for a few minutes.
///
/// # Errors
/// `NotFound` if attachments are off.
pub fn link(files: &Files, picture: &FileId) -> Result<String, Error> {
    files.bucket()?.link(&key(picture))
}

/// Removes the picture at an address, if it is kept here and belongs to the owner. A picture that cannot be removed is
/// left over.
#[boxed]
pub async fn remove(files: &Files, links: &Links, owner: &ConversationId, picture: &Picture) {
    let address = String::from(picture.clone());
    let id = address.strip_prefix(links.base()).and_then(id_in);
    let (Some(id), Ok(bucket)) = (id.filter(|id| id.conversation == *owner), files.bucket()) else { return };
    if let Err(error) = bucket.delete(&key(&id)).await {
        tracing::warn!(%error, "a picture is left over");
    }
}

/// Removes the pictures of an owner that are older than `before`, except the one that the owner has now. Returns how many.
///
/// # Errors
/// `Unavailable` if the storage is.
pub(crate) async fn remove_others(
    files: &Files,
    owner: &ConversationId,
    current: Option<Picture>,
    before: Stamp,
) -> Result<usize, Error> {
    let bucket = files.bucket()?;
    let address = current.map(String::from).unwrap_or_default();
    // The service may have had another public URL.
    let current = address.find(PICTURES_PATH).and_then(|at| id_in(&address[at..]));
    let folder = folder(owner);
    let mut removed = 0;
    for key in bucket.list(&folder, None).await? {
        let stamp = key.strip_prefix(&folder).and_then(|stamp| stamp.parse::<Stamp>().ok());
        let is_current = current.as_ref().is_some_and(|id| Some(id.stamp) == stamp);
        if stamp.is_some_and(|stamp| stamp < before) && !is_current {
            bucket.delete(&key).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The id in the path of a picture.
fn id_in(path: &str) -> Option<FileId> {
    path.strip_prefix(PICTURES_PATH).and_then(|id| id.parse().ok())
}

fn folder(owner: &ConversationId) -> String {
    format!("p/{owner}/")
}

fn key(picture: &FileId) -> String {
    format!("{}{}", folder(&picture.conversation), picture.stamp)
}
