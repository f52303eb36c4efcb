//! Times, which the API shows in RFC 3339 form, in UTC and with milliseconds.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time in milliseconds since 1970, shown as `2026-01-31T12:00:00.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Converts milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, the unit of DynamoDB's time to live.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Parses an RFC 3339 time with any offset, cut to milliseconds; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
        i64::try_from(nanos.div_euclid(1_000_000)).ok().map(Self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000) else {
            return f.write_str("9999-12-31T23:59:59.999Z");
        };
        // `time`'s own formatting would make a text first.
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second, millisecond) = time.to_hms_milli();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))?;
        write!(f, "T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A time in UTC with milliseconds (RFC 3339).",
            "type": "string",
            "format": "date-time",
            "examples": ["2026-01-31T12:00:00.123Z"],
        })
    }
}

/// The form of a time in the store, a number of milliseconds: `#[serde(with = "millis")]`.
pub mod millis {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    /// Serializes the milliseconds.
    ///
    /// # Errors
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(time.0)
    }

    /// Deserializes the milliseconds.
    ///
    /// # Errors
    /// The errors of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_a_z() {
        assert_eq!(Timestamp::from_millis(1_769_860_800_123).to_string(), "2026-01-31T12:00:00.123Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn any_offset_is_parsed() {
        assert_eq!(Timestamp::parse("2026-01-31T14:00:00.1239+02:00"), Some(Timestamp(1_769_860_800_123)));
        for bad in ["2026-01-31", "yesterday", "", "2026-13-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(bad), None);
        }
    }
}
