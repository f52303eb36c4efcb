//! The pictures of users and groups, at stable public addresses.
//!
//! Invariant: the address of a picture names its owner, and only pictures of the same owner are removed. So whoever sets
//! the address of another's picture cannot remove it.

use async_recursion::async_recursion as boxed;
use domain::error::Error;
use domain::id::{ConversationId, FileId, UserId};
use domain::links::Links;
use domain::name::Picture;

use crate::bucket::Copied;
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
    let head = read(bucket, token.key).await?;
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
    let id = address.strip_prefix(links.base()).and_then(|path| path.strip_prefix(PICTURES_PATH));
    let id: Option<FileId> = id.and_then(|id| id.parse().ok());
    let (Some(id), Ok(bucket)) = (id.filter(|id| id.conversation == *owner), files.bucket()) else { return };
    if let Err(error) = bucket.delete(&key(&id)).await {
        tracing::warn!(%error, "a picture is left over");
    }
}

fn key(picture: &FileId) -> String {
    format!("p/{}/{}", picture.conversation, picture.stamp)
}
