//! Every way a call can fail, with its HTTP status and its stable code.

use http::StatusCode;

/// The cause of a failure, kept for the log and never shown to clients.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a call was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the input is not of the documented form.
    #[error("{message}")]
    Invalid {
        /// The offending field, where there is one.
        field: Option<String>,
        /// What is wrong with it, for people.
        message: String,
    },
    /// 401: no token, or one that does not hold.
    #[error("{0}")]
    NotAuthenticated(&'static str),
    /// 403: not the caller's conversation, whether it exists or not.
    #[error("You are not a participant of this conversation.")]
    NotAParticipant,
    /// 403: one of the two has blocked the other.
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
    /// 409: a name, username or e-mail address that is to be unique is taken.
    #[error("{0}")]
    AlreadyExists(&'static str),
    /// 409: what is asked for does not go with how things stand.
    #[error("{0}")]
    Conflict(&'static str),
    /// 410: what the cursor would go on with is no longer kept.
    #[error("The cursor is too old. Load the inbox again, and go on from a new one.")]
    CursorExpired,
    /// 413: the body has more than 256 KiB.
    #[error("The body is larger than 256 KiB.")]
    TooLarge,
    /// 415: the body is of a type that this call does not read.
    #[error("The content type is not supported: send {0}.")]
    UnsupportedMediaType(&'static str),
    /// 429: too many in too short a time; again after so many seconds.
    #[error("Too many requests. Try again in {0} s.")]
    RateLimited(u64),
    /// 500: a fault of ours.
    #[error("Something went wrong on our side.")]
    Internal(#[source] Source),
    /// 503: the database throttles or is away; nothing was half-done.
    #[error("The service is busy. Try again in a moment.")]
    Unavailable(#[source] Source),
    /// 503: what `/health` found; with what is told of it.
    #[error("{0}")]
    Unhealthy(&'static str, #[source] Source),
}

impl Error {
    /// A refused field, with what is wrong with it.
    #[must_use]
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field.to_owned()), message: message.into() }
    }

    /// A fault of ours, with its source for the log.
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
            Self::AlreadyExists(_) | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::CursorExpired => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) | Self::Unhealthy(..) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable code for machines.
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
            Self::CursorExpired => "cursor_expired",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::RateLimited(_) => "rate_limited",
            Self::Internal(_) => "internal",
            Self::Unavailable(_) | Self::Unhealthy(..) => "unavailable",
        }
    }
}
