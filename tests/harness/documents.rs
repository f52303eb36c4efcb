//! Checks every answer and every frame that a test sees against the published documents.
//!
//! An undocumented status, code, member or frame is a fault. So is an accepted request that does not match its
//! description.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::build::root;

/// The published `OpenAPI` document.
pub static OPENAPI: LazyLock<Value> = LazyLock::new(|| read("docs/openapi.json"));
/// The published `AsyncAPI` document.
pub static ASYNCAPI: LazyLock<Value> = LazyLock::new(|| read("docs/asyncapi.json"));

fn read(path: &str) -> Value {
    let text = fs::read(root().join(path)).expect("a document");
    serde_json::from_slice(&text).expect("JSON")
}

/// Returns how an answer differs from the document; `None` if it matches, or if the path does not belong to the API.
pub fn fault_of_answer(method: &str, path: &str, status: u16, kind: &str, body: &Value) -> Option<String> {
    let (template, methods) = described(path)?;
    let Some(operation) = methods.get(method.to_lowercase()) else {
        // A preflight is answered for every path, by API Gateway in AWS: the document has nothing to say about it.
        let is_preflight = method == "OPTIONS" && status == 204;
        return (status != 404 && !is_preflight)
            .then(|| format!("{method} {template} is not documented, but answers {status}"));
    };
    let mut at = format!("/paths/{}/{}/responses/{status}", escaped(template), method.to_lowercase());
    let Some(mut response) = operation["responses"].get(status.to_string()) else {
        return Some(format!("{method} {template} answers {status}, which is not documented: {body}"));
    };
    if let Some(name) = response["$ref"].as_str() {
        at = name.trim_start_matches('#').to_owned();
        response = OPENAPI.pointer(&at).expect("a response");
    }
    if kind.is_empty() && response["content"].is_null() {
        return None;
    }
    if response["content"].get(kind).is_none() {
        return Some(format!("{method} {template} answers {status} as {kind}, which is not documented"));
    }
    let schema = format!("{at}/content/{}/schema", escaped(kind));
    fault(&OPENAPI, &schema, body).map(|fault| format!("{method} {template} answers {status}: {fault}"))
}

/// Returns how the JSON body of an accepted request differs from the document; `None` if it matches.
pub fn fault_of_body(method: &str, path: &str, body: &Value) -> Option<String> {
    let (template, methods) = described(path)?;
    let described = &methods[method.to_lowercase()]["requestBody"];
    if described.is_null() {
        return None;
    }
    let at = format!("/paths/{}/{}/requestBody", escaped(template), method.to_lowercase());
    let schema = format!("{at}/content/application~1json/schema");
    fault(&OPENAPI, &schema, body).map(|fault| format!("{method} {template} accepted {body}: {fault}"))
}

/// Returns how a frame to a client differs from the document; `None` if it matches.
pub fn fault_of_frame(frame: &Value) -> Option<String> {
    let kind = frame["type"].as_str().unwrap_or_default();
    let messages = ASYNCAPI["components"]["messages"].as_object().expect("messages");
    // Compare with the message that the frame claims to be, so that the fault is specific.
    let claimed = messages.keys().find(|name| {
        let members = &ASYNCAPI["components"]["schemas"][name]["properties"];
        let is = |member: &str| members[member]["const"] == frame[member];
        match kind {
            "ack" => is("type") && is("action"),
            _ => frame.get("truncated").is_none() && is("type"),
        }
    });
    let name =
        if frame.get("truncated").is_some() { Some("TruncatedEvent") } else { claimed.map(String::as_str) };
    let Some(name) = name else { return Some(format!("an undocumented frame: {frame}")) };
    fault(&ASYNCAPI, &format!("/components/schemas/{name}"), frame)
}

/// Returns how an accepted frame of a client differs from the document; `None` if it matches.
pub fn fault_of_request_frame(frame: &Value) -> Option<String> {
    let schemas = ASYNCAPI["components"]["schemas"].as_object().expect("schemas");
    let is_for = |schema: &Value| {
        schema["properties"]["type"].is_null() && schema["properties"]["action"]["const"] == frame["action"]
    };
    let Some((name, _)) = schemas.iter().find(|(_, schema)| is_for(schema)) else {
        return Some(format!("an undocumented frame was accepted: {frame}"));
    };
    fault(&ASYNCAPI, &format!("/components/schemas/{name}"), frame)
}

/// Returns the documented path that matches a path, and its operations; the one with the fewest parameters if several
/// match.
fn described(path: &str) -> Option<(&'static str, &'static Value)> {
    let path = path.split('?').next().unwrap_or_default();
    let matches = |template: &str| {
        let (segments, parts): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
        let fits = |(segment, part): (&&str, &&str)| {
            segment == part || (part.starts_with('{') && !segment.is_empty())
        };
        segments.len() == parts.len() && segments.iter().zip(&parts).all(fits)
    };
    let paths = OPENAPI["paths"].as_object().expect("paths");
    let matching = paths.iter().filter(|(template, _)| matches(template));
    let found = matching.min_by_key(|(template, _)| template.matches('{').count());
    found.map(|(template, methods)| (template.as_str(), methods))
}

/// Escapes a part of a JSON pointer (RFC 6901).
fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

/// Returns how a value differs from the schema at a JSON pointer of a document; `None` if it matches.
fn fault(document: &'static Value, at: &str, value: &Value) -> Option<String> {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let title = document["info"]["title"].as_str().unwrap_or_default();
    let validator = {
        let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
        validators.entry(format!("{title} {at}")).or_insert_with(|| Arc::new(validator(document, at))).clone()
    };
    let faults: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{error} at {}", error.instance_path())).collect();
    (!faults.is_empty()).then(|| format!("{} in {value}", faults.join("; ")))
}

fn validator(document: &Value, at: &str) -> Validator {
    let schema = document.pointer(at).unwrap_or_else(|| panic!("there is no {at}")).clone();
    let root = json!({"components": {"schemas": document["components"]["schemas"]}, "allOf": [schema]});
    let options =
        jsonschema::options().with_draft(jsonschema::Draft::Draft202012).should_validate_formats(true);
    options.build(&root).expect("a schema")
}
