//! The API's documents: `OpenAPI` 3.1 for what goes over HTTP, `AsyncAPI` 3 for the socket.
//!
//! Schemas come from the types that the functions read and write, limits and all; [`operations`] says which call
//! takes and gives which. Nothing of this is linked into a function.

mod operation;
mod operations;
mod schemas;
mod socket;

use schemas::Schemas;
use serde_json::{Map, Value, json};

/// The `OpenAPI` document, as it is kept in `docs/openapi.json`.
#[must_use]
pub fn openapi() -> String {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for operation in operations::all() {
        let (path, method) = (operation.path, operation.method);
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[method] = operation.described(&mut schemas);
    }
    let responses = schemas.take_responses();
    // What only sockets carry is here as well: clients take their types from one document.
    socket::frames(&mut schemas);
    text(&json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidings",
            "version": env!("CARGO_PKG_VERSION"),
            "description": include_str!("about.md"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": operation::tags(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "HS256 by the shared secret, or RS256, ES256 or EdDSA by a key of the issuer's; \
                        `sub` is the user's id, `exp` is required.",
                },
            },
            "responses": responses,
            "schemas": schemas.into_components(),
        },
    }))
}

/// The `AsyncAPI` document, as it is kept in `docs/asyncapi.json`.
#[must_use]
pub fn asyncapi() -> String {
    text(&socket::described())
}

fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

/// A reference to a component.
fn component(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object of exactly these members, all of which are there.
fn object(members: &[(&str, Value)]) -> Value {
    let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    let properties: Map<_, _> =
        members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
}
