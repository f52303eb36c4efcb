//! The components of both documents, generated from Rust types.

use domain::fields::FromFields;
use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::json::component;

/// The components collected so far.
pub(crate) struct Schemas {
    /// Types that clients send.
    input: SchemaGenerator,
    /// Types that clients receive.
    output: SchemaGenerator,
    /// Components without a Rust type of their own.
    others: Map<String, Value>,
    responses: Map<String, Value>,
}

impl Default for Schemas {
    fn default() -> Self {
        Self {
            input: generator(Contract::Deserialize),
            output: generator(Contract::Serialize),
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
    /// The schema of a type that clients send.
    pub(crate) fn input<T: JsonSchema>(&mut self) -> Value {
        self.input.subschema_for::<T>().to_value()
    }

    /// The schema of a type that clients receive. It allows no additional members.
    pub(crate) fn output<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.output.subschema_for::<T>().to_value();
        close(&mut schema);
        schema
    }

    /// The schema of a type that clients send, inline instead of as a component.
    pub(crate) fn inline_input<T: JsonSchema>(&mut self) -> Value {
        T::json_schema(&mut self.input).to_value()
    }

    /// Adds a type as a form component and refers to it: other fields than its names are ignored, and empty ones
    /// count as absent.
    pub(crate) fn form<T: FromFields<Fields: JsonSchema>>(&mut self) -> Value {
        let mut form = self.inline_input::<T::Fields>();
        if let Some(form) = form.as_object_mut() {
            form.remove("additionalProperties");
        }
        if let Some(fields) = form["properties"].as_object_mut() {
            fields.retain(|name, _| T::NAMES.contains(&name.as_str()));
        }
        drop_rules(&mut form, T::NAMES);
        for field in form["properties"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            never_null(field);
            let description = field.as_object_mut().and_then(|field| field.remove("description"));
            *field = json!({"description": description, "anyOf": [field, {"const": ""}]});
        }
        let name = format!("{}Form", T::Fields::schema_name());
        self.add(&name, form);
        component(&name)
    }

    /// The members of a type as parameters of a query string: name, schema, and whether it is required.
    pub(crate) fn parameters<T: JsonSchema>(&mut self) -> Vec<(String, Value, bool)> {
        let schema = T::json_schema(&mut self.input).to_value();
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
                // An empty parameter counts as absent.
                let is_formatted_text = schema.get("$ref").is_some() || schema.get("format").is_some();
                if !required && is_formatted_text {
                    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
                    schema = json!({"anyOf": [schema, {"type": "string", "maxLength": 0}]});
                    if let Some(description) = description {
                        schema["description"] = description;
                    }
                }
                (name, schema, required)
            })
            .collect()
    }

    /// Adds a component without a Rust type of its own.
    pub(crate) fn add(&mut self, name: &str, schema: Value) {
        self.others.insert(name.to_owned(), schema);
    }

    /// Adds a response that calls share, and returns a reference to it.
    pub(crate) fn add_response(&mut self, name: &str, response: Value) -> Value {
        self.responses.insert(name.to_owned(), response);
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    /// Takes the shared responses.
    pub(crate) fn take_responses(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.responses)
    }

    /// The schema of a component that clients receive.
    pub(crate) fn definition(&self, name: &str) -> Value {
        let mut schema = self.output.definitions().get(name).cloned().unwrap_or_default();
        close(&mut schema);
        schema
    }

    /// All schema components.
    pub(crate) fn into_components(mut self) -> Map<String, Value> {
        let mut all = self.input.take_definitions(true);
        for (name, mut schema) in self.output.take_definitions(true) {
            close(&mut schema);
            all.insert(name, schema);
        }
        all.extend(self.others);
        all.values_mut().for_each(plain);
        all
    }
}

/// Forbids additional members in each object that lists its members.
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

/// Removes what tells a client nothing: null defaults, and Rust's integer sizes.
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

/// Drops the alternatives of a rule that need another field than these.
fn drop_rules(schema: &mut Value, names: &[&str]) {
    let needs_other = |rule: &Value| {
        let required = rule["required"].as_array().into_iter().flatten();
        required.filter_map(Value::as_str).any(|name| !names.contains(&name))
    };
    for name in ["allOf", "anyOf"] {
        let Some(rules) = schema.get_mut(name).and_then(Value::as_array_mut) else { continue };
        rules.retain(|rule| !needs_other(rule));
        for rule in rules {
            drop_rules(rule, names);
        }
    }
}

/// Removes null from a schema, because a parameter is absent rather than null.
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
