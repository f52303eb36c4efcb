//! The errors of all calls, each with its HTTP status and stable code.

use http::StatusCode;

/// The cause of a failure. It is logged and never sent to clients.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a call was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the input does not have the documented form.
    #[error("{message}")]
    Invalid {
        /// The invalid field, if there is one.
        field: Option<String>,
        /// A message for people that describes the problem.
        message: String,
    },
    /// 401: the token is missing or invalid.
    #[error("{0}")]
    NotAuthenticated(&'static str),
    /// 403: the caller is not a participant of the conversation, whether it exists or not.
    #[error("You are not a participant of this conversation.")]
    NotAParticipant,
    /// 403: one of the two users has blocked the other.
    #[error("Messages between you and this user are blocked.")]
    Blocked,
    /// 403: only the sender may do this to a message.
    #[error("Only the sender of a message may do this.")]
    NotTheSender,
    /// 403: only an admin of the conversation may do this.
    #[error("Only an admin of this conversation may do this.")]
    NotAnAdmin,
    /// 404: no such route, user, message or room.
    #[error("{0}")]
    NotFound(&'static str),
    /// 409: another room or account has the name, username or e-mail address, which must be unique.
    #[error("{0}")]
    AlreadyExists(&'static str),
    /// 409: the request conflicts with the current state.
    #[error("{0}")]
    Conflict(&'static str),
    /// 409: a file that a message is to have was not uploaded.
    #[error("{0}")]
    NotUploaded(&'static str),
    /// 410: the events that follow the cursor are no longer kept.
    #[error("The cursor is too old. Get a new cursor, then load the inbox again.")]
    CursorExpired,
    /// 413: the body is larger than 256 KiB.
    #[error("The body is larger than 256 KiB.")]
    TooLarge,
    /// 413: a file to upload is larger than the limit. Contains the limit in bytes.
    #[error("The file is too large: at most {0} bytes.")]
    FileTooLarge(u64),
    /// 415: the call does not accept the content type of the body. Contains the types that it accepts.
    #[error("The content type is not supported: send {0}.")]
    UnsupportedMediaType(&'static str),
    /// 429: a rate limit was exceeded. Contains the seconds until the next request is allowed.
    #[error("Too many requests. Try again in {0} s.")]
    RateLimited(u64),
    /// 500: a fault of the server.
    #[error("Something went wrong on our side.")]
    Internal(#[source] Source),
    /// 503: the database throttles or is unavailable. No change was made in part.
    #[error("The service is busy. Try again in a moment.")]
    Unavailable(#[source] Source),
    /// 503: a check of `/health` failed. Contains the message for the client.
    #[error("{0}")]
    Unhealthy(&'static str, #[source] Source),
}

impl Error {
    /// An invalid field, and what is wrong with it.
    #[must_use]
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field.to_owned()), message: message.into() }
    }

    /// A fault of the server, with its cause for the log.
    pub fn internal(source: impl Into<Source>) -> Self {
        Self::Internal(source.into())
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::NotAuthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::NotAParticipant | Self::Blocked | Self::NotTheSender | Self::NotAnAdmin => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::AlreadyExists(_) | Self::Conflict(_) | Self::NotUploaded(_) => StatusCode::CONFLICT,
            Self::CursorExpired => StatusCode::GONE,
            Self::TooLarge | Self::FileTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) | Self::Unhealthy(..) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable, machine-readable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_request",
            Self::NotAuthenticated(_) => "not_authenticated",
            Self::NotAParticipant => "not_a_participant",
            Self::Blocked => "blocked",
            Self::NotTheSender => "not_the_sender",
            Self::NotAnAdmin => "not_an_admin",
            Self::NotFound(_) => "not_found",
            Self::AlreadyExists(_) => "already_exists",
            Self::Conflict(_) => "conflict",
            Self::NotUploaded(_) => "not_uploaded",
            Self::CursorExpired => "cursor_expired",
            Self::TooLarge | Self::FileTooLarge(_) => "too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::RateLimited(_) => "rate_limited",
            Self::Internal(_) => "internal",
            Self::Unavailable(_) | Self::Unhealthy(..) => "unavailable",
        }
    }
}
