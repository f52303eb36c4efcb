//! Input that arrives as JSON or as a form.

use serde::de::DeserializeOwned;

use crate::error::Error;

/// What can be read from a JSON object or a form.
pub trait FromFields: Sized {
    /// The fields, each a text.
    type Fields: DeserializeOwned;
    /// Their names, so that a form's others can be left out.
    const NAMES: &'static [&'static str];
    /// Checks the fields.
    ///
    /// # Errors
    /// `Invalid`, with the field that is wrong.
    fn from_fields(fields: Self::Fields) -> Result<Self, Error>;
}
