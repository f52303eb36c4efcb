//! The files of messages: how they are uploaded, checked, kept, moved away and brought back.
//!
//! | key | holds | until |
//! | --- | --- | --- |
//! | `up/upload` | what a client has uploaded | a day |
//! | `c/upload` | the claim of an upload, a forward or a picture: who uses it, and the copies | the sweep, after 25 hours |
//! | `f/conversation/file` | a file of a message | the message is deleted |
//! | `d/conversation/file` | a file of a message that was deleted for everyone | 30 days |
//! | `p/owner/upload` | the picture of a user or group | another takes its place |
//!
//! Invariant: what is checked is what is kept. Only this service writes below `f/`: it copies an upload on the condition
//! that the upload still has the contents whose first bytes it has checked. Files are copied before the message commits,
//! so no message is without its files; if a process dies in between, a copy is left that no message names. A claim has
//! named it before, and the sweep removes it.
//!
//! Invariant: one upload belongs to one message. A send claims it by a conditional write to the bucket, and only sends
//! with the same client id, of which one takes effect, can share a claim.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use domain::attachment::{Attachment, AttachmentFields, FileKind, FileName, NamedType};
use domain::error::Error;
use domain::fields::{whole, whole_or_none};
use domain::id::{Clock, ConversationId, FileId, Stamp, UserId};
use domain::message::files_of;
use domain::time::Timestamp;
use futures_util::future::{join_all, try_join_all};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bucket::{Bucket, Copied, ObjectHead, ServedAs};
use crate::claims::{self, Attempt};
use crate::page::CursorKey;
use crate::signing::{FORM_LIFE, Upload};
use crate::sniffing::Sniffed;

/// Milliseconds for which an upload can be used.
pub(crate) const UPLOAD_LIFE: i64 = 24 * 3600 * 1000;
/// Maximum size of a picture of a user or group, in bytes.
pub(crate) const MAX_PICTURE: u64 = 1024 * 1024;
/// Maximum size of a preview, in bytes.
const MAX_PREVIEW: u64 = 512 * 1024;
/// Maximum size of an object of which S3 makes a copy in one request, in bytes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
pub(crate) const MAX_OBJECT: u64 = 5_000_000_000;
/// How long a send may check its files, then claim and copy them, and undo that. The commit in between takes up to 14 s
/// if others keep getting ahead of it: then Lambda may end the function, after 15 s, before the undo. `sweep` removes the
/// copies that are left.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
const COPY_TIMEOUT: Duration = Duration::from_millis(5_500);
const UNDO_TIMEOUT: Duration = Duration::from_secs(1);
/// The cursor list under which the ids of uploads are signed.
const UPLOADS: &str = "uploads";
/// How files of messages are cached: they never change.
const CACHED: &str = "private, max-age=31536000, immutable";
/// Maximum length of a name in `Content-Disposition`, in bytes: S3 keeps 2 KB of such headers.
const MAX_SERVED_NAME: usize = 400;
/// The characters that `filename*` need not encode (RFC 8187, section 3.2.1).
const NAME_ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'!').remove(b'+');

/// The purpose of an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "UploadPurpose")]
pub enum Purpose {
    /// An attachment of a message.
    #[default]
    Message,
    /// The picture of a user or group: JPEG, PNG or WebP of up to 1 MiB.
    Picture,
}

/// A file to upload.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewUpload")]
pub struct NewUpload {
    file_name: FileName,
    content_type: NamedType,
    /// The exact size in bytes.
    #[serde(deserialize_with = "whole")]
    #[schemars(range(min = 1, max = MAX_OBJECT))]
    size: u64,
    /// The exact size in bytes of a smaller JPEG, PNG or WebP of it, up to 512 KiB, that is uploaded as well.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schemars(range(min = 1, max = MAX_PREVIEW))]
    preview_size: Option<u64>,
    #[serde(default)]
    purpose: Purpose,
}

impl NewUpload {
    /// All bytes to upload.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.size + self.preview_size.unwrap_or_default()
    }
}

/// A form to post as `multipart/form-data`: these fields first, and the file last, as `file`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UploadForm {
    url: String,
    fields: BTreeMap<String, String>,
}

/// How to upload a file.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Upload")]
pub struct Offer {
    /// The id by which a send names the file, for a day.
    attachment_id: String,
    upload: UploadForm,
    /// The same for the preview.
    preview_upload: Option<UploadForm>,
    /// When the forms expire.
    expires_at: Timestamp,
}

/// An upload as its id names it. The signature of the id covers the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadToken {
    /// The key below `up/`.
    pub(crate) key: Stamp,
    preview: Option<Stamp>,
    pub(crate) name: FileName,
    r#type: NamedType,
    purpose: Purpose,
    expires: i64,
}

/// An upload that was checked.
struct Checked<'a> {
    token: UploadToken,
    fields: &'a AttachmentFields,
    sniffed: Sniffed,
    size: u64,
    etag: String,
    /// The type of the preview, and its `ETag`.
    preview: Option<(Sniffed, String)>,
}

/// The files of a send, copied but not committed yet.
pub(crate) struct Prepared {
    pub(crate) attachments: Vec<Attachment>,
    files: Vec<FileId>,
    /// The uploads that are claimed.
    claims: Vec<Stamp>,
    attempt: Attempt,
    /// Whether all copies are complete, so that none can appear later.
    is_copied: bool,
}

/// The files of all conversations.
#[derive(Clone)]
pub struct Files {
    /// `None` if attachments are off.
    bucket: Option<Bucket>,
    max_bytes: u64,
    keys: Arc<CursorKey>,
    clock: Clock,
}

impl Files {
    /// Files in a bucket, of up to `max_bytes` each. Without a bucket, attachments are off.
    #[must_use]
    pub fn new(bucket: Option<Bucket>, max_bytes: u64, keys: Arc<CursorKey>, clock: Clock) -> Self {
        Self { bucket, max_bytes, keys, clock }
    }

    /// Whether attachments are on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.bucket.is_some()
    }

    pub(crate) fn bucket(&self) -> Result<&Bucket, Error> {
        self.bucket.as_ref().ok_or(Error::NotFound("There is no such route."))
    }

    /// Offers to take an upload, if it is not too large.
    ///
    /// # Errors
    /// `FileTooLarge`, `Invalid`, `NotFound` if attachments are off.
    pub fn offer(&self, owner: &UserId, new: &NewUpload) -> Result<Offer, Error> {
        let bucket = self.bucket()?;
        let is_picture = new.purpose == Purpose::Picture;
        let limit = if is_picture { MAX_PICTURE.min(self.max_bytes) } else { self.max_bytes };
        if new.size == 0 {
            return Err(Error::field("size", "A file has at least one byte."));
        }
        if new.size > limit {
            return Err(Error::FileTooLarge(limit));
        }
        if new.preview_size.is_some_and(|size| is_picture || !(1..=MAX_PREVIEW).contains(&size)) {
            let message = "A preview has 1-524,288 bytes, and a picture has none.";
            return Err(Error::field("preview_size", message));
        }
        let form = |key: Stamp, size: u64| {
            let content_type = new.content_type.as_str();
            let (url, fields) = bucket.form(&Upload { key: uploaded(key), size, content_type, owner });
            UploadForm { url, fields }
        };
        let key = self.clock.stamp();
        let preview = new.preview_size.map(|size| (self.clock.stamp_above(Some(key)), size));
        let now = self.clock.now().millis();
        let token = UploadToken {
            key,
            preview: preview.map(|(key, _)| key),
            name: new.file_name.clone(),
            r#type: new.content_type.clone(),
            purpose: new.purpose,
            expires: now + UPLOAD_LIFE,
        };
        let life = i64::try_from(FORM_LIFE.as_millis()).unwrap_or_default();
        Ok(Offer {
            attachment_id: self.keys.seal(owner, UPLOADS, &token)?,
            upload: form(key, new.size),
            preview_upload: preview.map(|(key, size)| form(key, size)),
            expires_at: Timestamp::from_millis(now + life),
        })
    }

    /// Verifies the id of an upload.
    pub(crate) fn open(
        &self,
        owner: &UserId,
        field: &str,
        id: &str,
        purpose: Purpose,
    ) -> Result<UploadToken, Error> {
        let invalid = |message: &str| Error::field(field, message);
        let opened = self.keys.open::<UploadToken>(owner, UPLOADS, id);
        let token = opened.map_err(|_| invalid("It is not the id of an upload of yours."))?;
        if token.expires < self.clock.now().millis() {
            return Err(invalid("The upload is more than a day old."));
        }
        if token.purpose != purpose {
            return Err(invalid("The upload has another purpose."));
        }
        Ok(token)
    }

    /// Checks the uploads of a send, all side by side, and copies them to its conversation.
    ///
    /// # Errors
    /// `Invalid` if an upload is not the caller's, too old or used by another send; `NotUploaded`; `Unavailable`.
    #[boxed]
    pub(crate) async fn prepare(
        &self,
        sender: &UserId,
        conversation: &ConversationId,
        client_id: Option<&str>,
        uploads: &[AttachmentFields],
    ) -> Result<Prepared, Error> {
        let bucket = self.bucket.as_ref();
        let bucket = bucket.ok_or_else(|| Error::field("attachments", "Attachments are switched off."))?;
        let open = |fields: &AttachmentFields| {
            self.open(sender, "attachments", &fields.attachment_id, Purpose::Message)
        };
        let tokens = uploads.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let checks = tokens.into_iter().zip(uploads).map(|(token, fields)| check(bucket, token, fields));
        let checked = within(CHECK_TIMEOUT, try_join_all(checks)).await?;
        let stamp = self.clock.stamp();
        // A conversation's id contains no line break.
        let by = client_id.map_or_else(|| stamp.to_string(), |id| format!("{conversation}\n{id}"));
        let attachments: Vec<Attachment> = checked.iter().map(|upload| self.attachment(upload)).collect();
        let prepared = Prepared {
            files: files_of(conversation, &attachments).collect(),
            attachments,
            claims: checked.iter().map(|upload| upload.token.key).collect(),
            attempt: Attempt { stamp, by },
            is_copied: false,
        };
        let copied = within(COPY_TIMEOUT, claim_and_copy(bucket, conversation, &checked, &prepared)).await;
        self.completed(prepared, copied).await
    }

    /// Undoes a preparation whose copies have failed.
    async fn completed(&self, prepared: Prepared, copied: Result<(), Error>) -> Result<Prepared, Error> {
        match copied {
            Ok(()) => Ok(Prepared { is_copied: true, ..prepared }),
            Err(error) => {
                self.undo(prepared).await;
                Err(error)
            }
        }
    }

    /// The attachment that an upload becomes, under a new id.
    fn attachment(&self, upload: &Checked<'_>) -> Attachment {
        let Checked { token, fields, sniffed, size, .. } = upload;
        let kind = match sniffed.kind {
            FileKind::Audio if fields.is_voice => FileKind::Voice,
            kind => kind,
        };
        let named = (kind == FileKind::Video).then_some((fields.width, fields.height));
        let read = sniffed.dimensions.map(|(width, height)| (Some(width), Some(height)));
        let (width, height) = read.or(named).unwrap_or_default();
        let has_duration = matches!(kind, FileKind::Video | FileKind::Audio | FileKind::Voice);
        let is_seen = matches!(kind, FileKind::Image | FileKind::Video);
        Attachment {
            file: self.clock.stamp(),
            preview: upload.preview.as_ref().map(|_| self.clock.stamp()),
            kind,
            name: token.name.clone(),
            content_type: sniffed.content_type.to_owned(),
            size: *size,
            width,
            height,
            duration_ms: fields.duration_ms.filter(|_| has_duration),
            thumbhash: fields.thumbhash.clone().filter(|_| is_seen),
            alt: fields.alt.clone(),
        }
    }

    /// Deletes the copies of a send that was refused, and gives its claims back. What fails is left to the sweep.
    pub(crate) async fn undo(&self, prepared: Prepared) {
        let Some(bucket) = &self.bucket else { return };
        let Prepared { files, claims, attempt, is_copied, .. } = prepared;
        let deletions = files.iter().map(async |file| bucket.delete(&kept(file)).await);
        let all = async {
            let deleted = join_all(deletions).await.into_iter().collect::<Result<(), _>>();
            let gone = if is_copied && deleted.is_ok() { files.as_slice() } else { &[] };
            let given_back = claims.iter().map(|upload| claims::release(bucket, *upload, &attempt, gone));
            let outcome = join_all(given_back).await.into_iter().collect::<Result<(), _>>();
            deleted.and(outcome)
        };
        if let Err(error) = within(UNDO_TIMEOUT, all).await {
            tracing::warn!(%error, "a copy or a claim of a refused send is left over");
        }
    }

    /// Copies the files of a message to a conversation, under new ids, so that deleting one message leaves the other.
    ///
    /// # Errors
    /// `NotAParticipant` if a file is gone, because the message was deleted meanwhile; `Unavailable` if the storage is.
    #[boxed]
    pub(crate) async fn duplicate(
        &self,
        from: &ConversationId,
        to: &ConversationId,
        attachments: &[Attachment],
    ) -> Result<Prepared, Error> {
        let (mut prepared, mut keys) = (self.nothing_prepared(), Vec::new());
        for attachment in attachments {
            let preview = attachment.preview.map(|_| self.clock.stamp());
            let copy = Attachment { file: self.clock.stamp(), preview, ..attachment.clone() };
            for (old, new) in attachment.files().zip(copy.files()) {
                let old = FileId { conversation: from.clone(), stamp: old };
                let new = FileId { conversation: to.clone(), stamp: new };
                prepared.files.push(new.clone());
                keys.push((kept(&old), kept(&new)));
            }
            prepared.attachments.push(copy);
        }
        let Some(bucket) = self.bucket.as_ref().filter(|_| !keys.is_empty()) else { return Ok(prepared) };
        let all = within(COPY_TIMEOUT, async {
            claims::note(bucket, &prepared.attempt, &prepared.files).await?;
            let copies =
                keys.iter().map(async |(from, to)| match bucket.copy(from, None, to, None).await? {
                    Copied::Done => Ok(()),
                    Copied::Missing | Copied::Replaced => Err(Error::NotAParticipant),
                });
            join_all(copies).await.into_iter().collect()
        });
        let outcome = all.await;
        self.completed(prepared, outcome).await
    }

    fn nothing_prepared(&self) -> Prepared {
        let (attachments, files, claims) = Default::default();
        let stamp = self.clock.stamp();
        let attempt = Attempt { stamp, by: stamp.to_string() };
        Prepared { attachments, files, claims, attempt, is_copied: false }
    }

    /// Whether a file of a message is there.
    ///
    /// # Errors
    /// `Unavailable` if the storage is.
    pub(crate) async fn has(&self, file: &FileId) -> Result<bool, Error> {
        self.bucket()?.has(&kept(file)).await
    }

    /// Makes a link to a file itself, for a few minutes; `None` if there is no such file (any more).
    ///
    /// # Errors
    /// `Unavailable` if the storage is.
    #[boxed]
    pub async fn link(&self, file: &FileId) -> Result<Option<String>, Error> {
        Ok(if self.has(file).await? { Some(self.bucket()?.link(&kept(file))?) } else { None })
    }

    /// Moves the files of a deleted message away: from then on there are no links to them. A repetition changes nothing.
    ///
    /// # Errors
    /// `Unavailable` if the storage is. Then some files may still be there.
    #[boxed]
    pub async fn remove(&self, files: &[FileId]) -> Result<(), Error> {
        self.transfer(files, kept, removed).await
    }

    /// Brings the files of a deleted message back. A repetition changes nothing.
    ///
    /// # Errors
    /// `Unavailable` if the storage is. Then some files may still be away.
    #[boxed]
    pub async fn restore(&self, files: &[FileId]) -> Result<(), Error> {
        self.transfer(files, removed, kept).await
    }

    /// Moves files, side by side. A file that is not there has been moved before.
    async fn transfer(
        &self,
        files: &[FileId],
        from: fn(&FileId) -> String,
        to: fn(&FileId) -> String,
    ) -> Result<(), Error> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        let moves = files.iter().map(async |file| {
            bucket.copy(&from(file), None, &to(file), None).await?;
            bucket.delete(&from(file)).await
        });
        within(COPY_TIMEOUT, async { join_all(moves).await.into_iter().collect() }).await
    }
}

/// Waits for work on the bucket, up to a limit.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::Unavailable("the storage did not answer in time".into()));
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}

/// The key of an upload.
pub(crate) fn uploaded(key: Stamp) -> String {
    format!("up/{key}")
}

/// The key of a message's file.
fn kept(file: &FileId) -> String {
    format!("f/{}/{}", file.conversation, file.stamp)
}

/// The key of a deleted message's file.
fn removed(file: &FileId) -> String {
    format!("d/{}/{}", file.conversation, file.stamp)
}

/// Reads the first bytes of an upload.
pub(crate) async fn read(bucket: &Bucket, key: Stamp) -> Result<ObjectHead, Error> {
    let head = bucket.head(&uploaded(key)).await?;
    head.ok_or(Error::NotUploaded("A file has not been uploaded yet."))
}

/// Checks what an upload is.
async fn check<'a>(
    bucket: &Bucket,
    token: UploadToken,
    fields: &'a AttachmentFields,
) -> Result<Checked<'a>, Error> {
    let preview = async {
        match token.preview {
            Some(key) => read(bucket, key).await.map(Some),
            None => Ok(None),
        }
    };
    let (head, preview) = tokio::try_join!(read(bucket, token.key), preview)?;
    let is_sound = fields.is_voice || token.r#type.as_str().starts_with("audio/");
    let sniffed = Sniffed::of(&head.bytes, is_sound);
    let preview = preview.map(|head| (Sniffed::of(&head.bytes, false), head.etag));
    if preview.as_ref().is_some_and(|(sniffed, _)| !sniffed.is_simple_picture()) {
        return Err(Error::field("attachments", "A preview is a JPEG, PNG or WebP."));
    }
    Ok(Checked { token, fields, sniffed, size: head.size, etag: head.etag, preview })
}

/// Claims checked uploads, and copies them to a conversation as the prepared attachments.
async fn claim_and_copy(
    bucket: &Bucket,
    conversation: &ConversationId,
    checked: &[Checked<'_>],
    prepared: &Prepared,
) -> Result<(), Error> {
    let uploads = || checked.iter().zip(&prepared.attachments);
    let claims = uploads().map(|(upload, attachment)| {
        let files = files_of(conversation, std::slice::from_ref(attachment)).collect();
        claims::take(bucket, upload.token.key, &prepared.attempt, files)
    });
    join_all(claims).await.into_iter().collect::<Result<(), _>>()?;
    let id = |stamp| FileId { conversation: conversation.clone(), stamp };
    let mut copies = Vec::new();
    for (upload, attachment) in uploads() {
        let served_as = served_as(&attachment.name, &upload.sniffed, CACHED);
        let file = id(attachment.file);
        copies.push(copy_checked(bucket, upload.token.key, upload.etag.clone(), file, served_as));
        let preview = upload.preview.as_ref().zip(upload.token.preview).zip(attachment.preview);
        if let Some((((sniffed, etag), key), preview)) = preview {
            let served_as = served_as_preview(&attachment.name, sniffed);
            copies.push(copy_checked(bucket, key, etag.clone(), id(preview), served_as));
        }
    }
    // Waits for all, so that none is under way when they are undone.
    join_all(copies).await.into_iter().collect()
}

/// Copies an upload to a conversation, if it still has the contents that were checked.
async fn copy_checked(
    bucket: &Bucket,
    upload: Stamp,
    etag: String,
    file: FileId,
    served_as: ServedAs,
) -> Result<(), Error> {
    match bucket.copy(&uploaded(upload), Some(&etag), &kept(&file), Some(&served_as)).await? {
        Copied::Done => Ok(()),
        Copied::Missing => Err(Error::NotUploaded("A file is no longer there.")),
        Copied::Replaced => Err(Error::Conflict("A file was replaced while it was checked.")),
    }
}

/// How a file is served: under its name, and in place only if its type allows that.
pub(crate) fn served_as(name: &FileName, sniffed: &Sniffed, cache_control: &'static str) -> ServedAs {
    let way = if sniffed.is_in_place() { "inline" } else { "attachment" };
    let name = shortened(name.as_str());
    let plain: String =
        name.chars().map(|c| if matches!(c, ' '..='~') && !"\"\\%".contains(c) { c } else { '_' }).collect();
    let encoded = utf8_percent_encode(&name, NAME_ENCODED);
    ServedAs {
        content_type: sniffed.content_type.to_owned(),
        disposition: format!("{way}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"),
        cache_control,
    }
}

fn served_as_preview(name: &FileName, sniffed: &Sniffed) -> ServedAs {
    served_as(name, sniffed, CACHED)
}

/// A name of at most [`MAX_SERVED_NAME`] bytes with its extension.
fn shortened(name: &str) -> String {
    if name.len() <= MAX_SERVED_NAME {
        return name.to_owned();
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let extension = if extension.len() <= 20 { format!(".{extension}") } else { String::new() };
    let mut end = MAX_SERVED_NAME - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &name[..end])
}
