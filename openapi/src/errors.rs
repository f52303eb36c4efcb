//! The schema of failed answers, and of their codes.

use std::collections::BTreeSet;

use domain::error::Error;
use edge::problem::ProblemBody;
use serde_json::{Value, json};

use crate::operations;
use crate::schemas::Schemas;

/// Adds the schema of an error's body.
pub(crate) fn add_to(schemas: &mut Schemas) {
    schemas.output::<ProblemBody<'_>>();
    let mut problem = schemas.definition("Problem");
    problem["properties"]["code"] = codes();
    problem["properties"]["success"] = json!({"const": false});
    problem["properties"]["errors"]["type"] = "array".into();
    schemas.add("Problem", problem);
}

/// The schema of all error codes.
pub(crate) fn codes() -> Value {
    let all = operations::all();
    let codes: BTreeSet<&str> = all.iter().flat_map(|call| &call.errors).map(Error::code).collect();
    json!({"type": "string", "enum": codes})
}
