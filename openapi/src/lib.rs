//! Generates the API's documents: `OpenAPI` 3.1 for HTTP, `AsyncAPI` 3 for the socket.
//!
//! The schemas, with their limits, come from the types that the functions read and write. [`operations`] lists the
//! calls and their types. No function links this crate.

mod errors;
mod json;
mod operation;
mod operations;
mod schemas;
mod socket;

use schemas::Schemas;
use serde_json::{Map, Value, json};

/// The `OpenAPI` document, the content of `docs/openapi.json`.
#[must_use]
pub fn openapi() -> String {
    let mut schemas = Schemas::default();
    errors::add_to(&mut schemas);
    let mut paths = Map::new();
    for operation in operations::all() {
        let (path, method) = (operation.path, operation.method);
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[method] = operation.into_json(&mut schemas);
    }
    let responses = schemas.take_responses();
    // Includes the types that only sockets use, because clients generate all their types from this document.
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
                    "description": "HS256 with the shared secret, or RS256, ES256 or EdDSA with a key of the issuer. \
                        `sub` is the user id; `exp` is required.",
                },
            },
            "responses": responses,
            "schemas": schemas.into_components(),
        },
    }))
}

/// The `AsyncAPI` document, the content of `docs/asyncapi.json`.
#[must_use]
pub fn asyncapi() -> String {
    text(&socket::document())
}

fn text(document: &Value) -> String {
    format!("{document:#}\n")
}
