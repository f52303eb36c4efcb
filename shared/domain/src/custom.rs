//! Custom data: a JSON object that an application attaches, and that Tidings returns as it came.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Maximum size of the object, in bytes of JSON.
const MAX_BYTES: usize = 1_024;

/// A JSON object of up to 1,024 bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Custom(Map<String, Value>);

// The numbers in it come from JSON, so none of them is `NaN`.
impl Eq for Custom {}

impl Custom {
    /// The object as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// Reads the object that the store holds.
    fn from_json(json: &str) -> Option<Self> {
        match serde_json::from_str(json) {
            Ok(Value::Object(object)) => Some(Self(object)),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Custom {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let custom = Self(Map::deserialize(from)?);
        if custom.to_json().len() <= MAX_BYTES {
            Ok(custom)
        } else {
            Err(serde::de::Error::custom("a custom object has at most 1,024 bytes of JSON"))
        }
    }
}

impl Serialize for Custom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for Custom {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Custom".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "description": "Any JSON object of up to 1,024 bytes."})
    }
}

/// Stores custom data as text, in which no number loses a digit.
pub mod text {
    use super::{Custom, Deserialize, Deserializer, Serializer};

    /// Writes custom data as JSON text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(custom: &Option<Custom>, serializer: S) -> Result<S::Ok, S::Error> {
        match custom {
            Some(custom) => serializer.serialize_str(&custom.to_json()),
            None => serializer.serialize_none(),
        }
    }

    /// Reads custom data from JSON text.
    ///
    /// # Errors
    /// If the text is not a JSON object.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Custom>, D::Error> {
        let json = Option::<String>::deserialize(from)?;
        let parsed = json.map(|json| {
            Custom::from_json(&json).ok_or_else(|| serde::de::Error::custom("custom data is no JSON object"))
        });
        parsed.transpose()
    }
}
