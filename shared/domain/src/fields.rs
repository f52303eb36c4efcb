//! Fields of JSON: those of request bodies, which may also be forms, and those that are left out.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::error::Error;

/// Whether a number is zero, for fields that are left out then.
#[must_use]
pub fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

/// Deserializes a field that is present, so that null differs from a missing field.
///
/// # Errors
/// Those of the type.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Deserializes a whole number that may be written with a fraction of zero, as JSON Schema's `integer` may.
///
/// # Errors
/// If the number has another fraction, or is out of the type's range.
pub fn whole<'de, T: TryFrom<u64>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    whole_number(&number)
        .ok_or_else(|| D::Error::custom(format!("{number} is no whole number of this range")))
}

/// Like [`whole`], for a field that may be null or missing.
///
/// # Errors
/// Like [`whole`].
pub fn whole_or_none<'de, T: TryFrom<u64>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else { return Ok(None) };
    whole_number(&number)
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("{number} is no whole number of this range")))
}

fn whole_number<T: TryFrom<u64>>(number: &serde_json::Number) -> Option<T> {
    // A whole float is printed with `.0`.
    let text = number.to_string();
    let whole = text.strip_suffix(".0").unwrap_or(&text);
    whole.parse::<u64>().ok().and_then(|whole| whole.try_into().ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Upload {
        #[serde(deserialize_with = "whole")]
        size: u64,
        #[serde(default, deserialize_with = "whole_or_none")]
        width: Option<u32>,
    }

    fn upload(json: &str) -> Option<(u64, Option<u32>)> {
        serde_json::from_str::<Upload>(json).ok().map(|upload| (upload.size, upload.width))
    }

    #[test]
    fn a_whole_number_may_be_a_float() {
        assert_eq!(upload(r#"{"size": 13.0}"#), Some((13, None)));
        assert_eq!(upload(r#"{"size": 1e3, "width": 2}"#), Some((1000, Some(2))));
        assert_eq!(upload(r#"{"size": 1, "width": null}"#), Some((1, None)));
        for other in [r#"{"size": 1.5}"#, r#"{"size": -1}"#, r#"{"size": "1"}"#, r#"{"size": null}"#] {
            assert_eq!(upload(other), None, "{other}");
        }
        assert_eq!(upload(r#"{"size": 1, "width": 4294967296}"#), None);
    }
}
