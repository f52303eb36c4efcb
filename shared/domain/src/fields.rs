//! Request bodies that are accepted as JSON and as a form.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::error::Error;

/// Deserializes a field that is present, so that null differs from a missing field.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A request body that can be parsed from a JSON object or a form.
pub trait FromFields: Sized {
    /// The fields, each of them a string.
    type Fields: DeserializeOwned;
    /// The names of the fields. Other fields of a form are ignored.
    const NAMES: &'static [&'static str];
    /// Validates the fields.
    ///
    /// # Errors
    /// `Invalid`, with the name of the invalid field.
    fn from_fields(fields: Self::Fields) -> Result<Self, Error>;
}
