//! The components that both documents share.

use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::component;

/// The types met so far, as they are read and as they are written.
pub(crate) struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
    others: Map<String, Value>,
    responses: Map<String, Value>,
}

impl Default for Schemas {
    fn default() -> Self {
        Self {
            read: generator(Contract::Deserialize),
            written: generator(Contract::Serialize),
            others: Map::new(),
            responses: Map::new(),
        }
    }
}

fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.contract = contract;
    settings.into_generator()
}

impl Schemas {
    /// What a client sends.
    pub(crate) fn read<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().to_value()
    }

    /// What a client gets: nothing but what the type has.
    pub(crate) fn written<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.written.subschema_for::<T>().to_value();
        close(&mut schema);
        schema
    }

    /// What a client sends, told in full where it stands.
    pub(crate) fn read_inline<T: JsonSchema>(&mut self) -> Value {
        T::json_schema(&mut self.read).to_value()
    }

    /// The fields of a form, as a component of its own: an empty one counts as absent, and others are ignored.
    pub(crate) fn form<T: JsonSchema>(&mut self) -> Value {
        let mut form = self.read_inline::<T>();
        if let Some(form) = form.as_object_mut() {
            form.remove("additionalProperties");
        }
        for field in form["properties"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            never_null(field);
            let about = field.as_object_mut().and_then(|field| field.remove("description"));
            *field = json!({"description": about, "anyOf": [field, {"const": ""}]});
        }
        let name = format!("{}Form", T::schema_name());
        self.add(&name, form);
        component(&name)
    }

    /// The parameters of a query string: each member of the type.
    pub(crate) fn parameters<T: JsonSchema>(&mut self) -> Vec<(String, Value, bool)> {
        let schema = T::json_schema(&mut self.read).to_value();
        let required = schema["required"].clone();
        let is_required =
            |name: &str| required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
        let members = schema["properties"].as_object().cloned().unwrap_or_default();
        members
            .into_iter()
            .map(|(name, mut schema)| {
                never_null(&mut schema);
                plain(&mut schema);
                let required = is_required(&name);
                (name, schema, required)
            })
            .collect()
    }

    /// Adds a component of no type of its own.
    pub(crate) fn add(&mut self, name: &str, schema: Value) {
        self.others.insert(name.to_owned(), schema);
    }

    /// Adds a response that many calls have, and refers to it.
    pub(crate) fn add_response(&mut self, name: &str, response: Value) -> Value {
        self.responses.insert(name.to_owned(), response);
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    /// The responses that many calls have.
    pub(crate) fn take_responses(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.responses)
    }

    /// A component as it is written.
    pub(crate) fn definition(&self, name: &str) -> Value {
        let mut schema = self.written.definitions().get(name).cloned().unwrap_or_default();
        close(&mut schema);
        schema
    }

    /// All of them.
    pub(crate) fn into_components(mut self) -> Map<String, Value> {
        let mut all = self.read.take_definitions(true);
        for (name, mut schema) in self.written.take_definitions(true) {
            close(&mut schema);
            all.insert(name, schema);
        }
        all.extend(self.others);
        all.values_mut().for_each(plain);
        all
    }
}

/// Closes each object of a schema that says what it has.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            members.values_mut().for_each(close);
        }
        Value::Array(entries) => entries.iter_mut().for_each(close),
        _ => {}
    }
}

/// Leaves out what says nothing to a client: defaults of null, and Rust's sizes of integers.
pub(crate) fn plain(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            let is_size = |format: &Value| format.as_str().is_some_and(|text| text.contains("int"));
            if members.get("format").is_some_and(is_size) {
                members.remove("format");
            }
            members.values_mut().for_each(plain);
        }
        Value::Array(entries) => entries.iter_mut().for_each(plain),
        _ => {}
    }
}

/// A parameter is absent rather than null.
fn never_null(schema: &mut Value) {
    if let Some(kinds) = schema["type"].as_array() {
        let kinds: Vec<_> = kinds.iter().filter(|kind| *kind != "null").cloned().collect();
        if let [kind] = kinds.as_slice() {
            schema["type"] = kind.clone();
        }
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let mut choices: Vec<_> = choices.iter().filter(|choice| choice["type"] != "null").cloned().collect();
        if let (1, Some(choice), Value::Object(mut members)) = (choices.len(), choices.pop(), schema.clone())
        {
            members.remove("anyOf");
            if let Value::Object(chosen) = choice {
                members.extend(chosen);
            }
            *schema = Value::Object(members);
        }
    }
}
