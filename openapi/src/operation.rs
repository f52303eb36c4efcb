//! A call of the API, and its operation object in the document.

use std::collections::BTreeMap;

use domain::error::Error;
use domain::fields::FromFields;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::json::{component, object};
use crate::schemas::Schemas;

/// The group of calls that a call belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Tag {
    Messages,
    Attachments,
    Conversations,
    Rooms,
    Users,
    Accounts,
    Events,
    Notifications,
    Operations,
}

impl Tag {
    const ALL: [Self; 9] = [
        Self::Messages,
        Self::Attachments,
        Self::Conversations,
        Self::Rooms,
        Self::Users,
        Self::Accounts,
        Self::Events,
        Self::Notifications,
        Self::Operations,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Attachments => "attachments",
            Self::Conversations => "conversations",
            Self::Rooms => "rooms",
            Self::Users => "users",
            Self::Accounts => "accounts",
            Self::Events => "events",
            Self::Notifications => "notifications",
            Self::Operations => "operations",
        }
    }
}

/// The tags, in display order.
pub(crate) fn tags() -> Vec<Value> {
    Tag::ALL.iter().map(|tag| json!({"name": tag.name()})).collect()
}

/// Generates the schema of a type and adds the components that it needs.
type Schema = fn(&mut Schemas) -> Value;

/// Generates the parameters of a query string: for each the name, the schema and whether it is required.
type Parameters = fn(&mut Schemas) -> Vec<(String, Value, bool)>;

/// A call: its route, input, responses and errors.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    id: &'static str,
    tag: Tag,
    summary: &'static str,
    path_types: Vec<Schema>,
    query: Vec<Parameters>,
    body: Option<Body>,
    answers: BTreeMap<u16, (&'static str, Answer)>,
    pub(crate) errors: Vec<Error>,
    links: Option<(&'static str, &'static [&'static str])>,
    needs_token: bool,
}

/// A request body.
struct Body {
    schema: Schema,
    example: Value,
    /// The schema of the form, if the call also accepts one.
    form: Option<Schema>,
}

/// The body of a successful response.
enum Answer {
    Data(Schema),
    Page(Schema),
    PageWithTotal(Schema),
    Plain(&'static str, Value),
    /// No body, but the address to go to.
    Redirect,
}

impl Operation {
    pub(crate) fn new(
        (method, path): (&'static str, &'static str),
        tag: Tag,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let server_errors = [Error::internal(""), Error::Unavailable("".into())];
        Self {
            method,
            path,
            id,
            tag,
            summary,
            path_types: Vec::new(),
            query: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            errors: server_errors.into(),
            links: None,
            needs_token: true,
        }
    }

    /// Sets the type of the path's next parameter.
    pub(crate) fn path_parameter<T: JsonSchema>(mut self) -> Self {
        self.path_types.push(Schemas::input::<T>);
        self.fails_with([Error::field("", "")])
    }

    /// Adds the members of a type as parameters of the query string.
    pub(crate) fn query<T: JsonSchema>(mut self) -> Self {
        self.query.push(Schemas::parameters::<T>);
        self.fails_with([Error::field("", "")])
    }

    /// Sets the JSON body, with an example.
    pub(crate) fn accepts<T: JsonSchema>(mut self, example: Value) -> Self {
        self.body = Some(Body { schema: Schemas::input::<T>, example, form: None });
        self.fails_with([Error::field("", ""), Error::TooLarge, Error::UnsupportedMediaType("")])
    }

    /// Accepts the body as a form, too.
    pub(crate) fn or_form<T: FromFields<Fields: JsonSchema>>(mut self) -> Self {
        self.body.iter_mut().for_each(|body| body.form = Some(Schemas::form::<T>));
        self
    }

    fn answers(mut self, status: u16, description: &'static str, answer: Answer) -> Self {
        self.answers.insert(status, (description, answer));
        self
    }

    /// Adds a response with data.
    pub(crate) fn returns<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.answers(status, description, Answer::Data(Schemas::output::<T>))
    }

    /// Adds a 200 whose data is null.
    pub(crate) fn acknowledges(self, description: &'static str) -> Self {
        self.returns::<()>(200, description)
    }

    /// Adds a 200 with a page of a list.
    pub(crate) fn lists<T: JsonSchema>(self, description: &'static str) -> Self {
        self.answers(200, description, Answer::Page(Schemas::output::<T>))
    }

    /// Adds a 200 with a page of a list and the list's total.
    pub(crate) fn lists_with_total<T: JsonSchema>(self, description: &'static str) -> Self {
        self.answers(200, description, Answer::PageWithTotal(Schemas::output::<T>))
    }

    /// Adds a 200 without the envelope.
    pub(crate) fn returns_plain(
        self,
        content_type: &'static str,
        description: &'static str,
        schema: Value,
    ) -> Self {
        self.answers(200, description, Answer::Plain(content_type, schema))
    }

    /// Adds a 302 without a body.
    pub(crate) fn redirects(self, description: &'static str) -> Self {
        self.answers(302, description, Answer::Redirect)
    }

    /// Adds errors, besides those that follow from the call's input.
    pub(crate) fn fails_with<const N: usize>(mut self, errors: [Error; N]) -> Self {
        self.errors.extend(errors);
        self
    }

    /// The call is rate-limited.
    pub(crate) fn limited(self) -> Self {
        self.fails_with([Error::RateLimited(1)])
    }

    /// Links to calls that take this member of the data as the `id` in their path.
    pub(crate) fn links_to(mut self, member: &'static str, calls: &'static [&'static str]) -> Self {
        self.links = Some((member, calls));
        self
    }

    /// The call needs no token.
    pub(crate) fn without_token(mut self) -> Self {
        self.needs_token = false;
        self
    }

    /// The call needs neither a token nor the database, so it cannot fail.
    pub(crate) fn infallible(mut self) -> Self {
        self.errors.clear();
        self.without_token()
    }

    /// The operation object.
    pub(crate) fn into_json(mut self, schemas: &mut Schemas) -> Value {
        if self.needs_token {
            self.errors.push(Error::NotAuthenticated(""));
        }
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag.name()],
            "summary": self.summary,
            "responses": self.responses(schemas),
        });
        let parameters = self.parameters(schemas);
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some(body) = &self.body {
            operation["requestBody"] = body.to_json(schemas);
        }
        if !self.needs_token {
            operation["security"] = json!([]);
        }
        operation
    }

    fn parameters(&self, schemas: &mut Schemas) -> Vec<Value> {
        let names = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut parameters = Vec::new();
        for (name, schema) in names.zip(&self.path_types) {
            parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema(schemas)}));
        }
        for (name, mut schema, required) in self.query.iter().flat_map(|query| query(schemas)) {
            let description = schema.as_object_mut().and_then(|members| members.remove("description"));
            let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema});
            if let Some(description) = description {
                parameter["description"] = description;
            }
            parameters.push(parameter);
        }
        parameters
    }

    fn responses(&self, schemas: &mut Schemas) -> Map<String, Value> {
        let mut responses = Map::new();
        for (status, (description, answer)) in &self.answers {
            let mut response = json!({"description": description, "headers": headers(*status)});
            if let Some((content_type, schema)) = answer.to_json(schemas) {
                response["content"] = json!({content_type: {"schema": schema}});
            }
            if let Some((member, calls)) = self.links {
                let parameters = json!({"path.id": format!("$response.body#/data/{member}")});
                for call in calls {
                    response["links"][*call] = json!({"operationId": call, "parameters": parameters});
                }
            }
            responses.insert(status.to_string(), response);
        }
        let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
        for error in &self.errors {
            let codes = codes.entry(error.status().as_u16()).or_default();
            if !codes.contains(&error.code()) {
                codes.push(error.code());
            }
        }
        for (status, mut codes) in codes {
            codes.sort_unstable();
            let constraint = json!({"properties": {"status": {"const": status}, "code": {"enum": codes}}});
            let response = json!({
                "description": codes.join(", "),
                "headers": headers(status),
                "content": {"application/problem+json": {"schema": {"allOf": [component("Problem"), constraint]}}},
            });
            let names: Vec<String> = codes.iter().map(|code| pascal(code)).collect();
            responses.insert(status.to_string(), schemas.add_response(&names.join("Or"), response));
        }
        responses
    }
}

/// Converts `not_found` to `NotFound`.
fn pascal(code: &str) -> String {
    let upper = |word: &str| word[..1].to_uppercase() + &word[1..];
    code.split('_').map(upper).collect()
}

/// The headers of a response.
fn headers(status: u16) -> Value {
    let mut headers = json!({
        "x-request-id": {
            "required": true,
            "schema": {"type": "string"},
            "description": "The request's id in the logs.",
        },
    });
    match status {
        302 => headers["Location"] = json!({"required": true, "schema": {"type": "string"}}),
        401 => headers["WWW-Authenticate"] = json!({"required": true, "schema": {"const": "Bearer"}}),
        429 | 503 => {
            headers["Retry-After"] = json!({
                "required": true,
                "schema": {"type": "integer", "minimum": 1},
                "description": "Seconds to wait.",
            });
        }
        _ => {}
    }
    headers
}

impl Body {
    fn to_json(&self, schemas: &mut Schemas) -> Value {
        let entry = json!({"schema": (self.schema)(schemas), "example": self.example});
        let mut content = json!({"application/json": entry});
        if let Some(form) = self.form {
            let entry = json!({"schema": form(schemas), "example": self.example});
            content["application/x-www-form-urlencoded"] = entry.clone();
            content["multipart/form-data"] = entry;
        }
        json!({"required": true, "content": content})
    }
}

impl Answer {
    /// The content type and the schema; `None` without a body.
    fn to_json(&self, schemas: &mut Schemas) -> Option<(&'static str, Value)> {
        let cursor =
            json!({"type": ["string", "null"], "description": "Cursor of the next page; null on the last."});
        let envelope = |data: Value, more: &[(&str, Value)]| {
            let mut members = vec![
                ("success", json!({"const": true})),
                ("data", data),
                ("message", json!({"type": "string"})),
            ];
            members.extend(more.iter().cloned());
            ("application/json", object(&members))
        };
        Some(match self {
            Self::Redirect => return None,
            Self::Data(schema) => envelope(schema(schemas), &[]),
            Self::Page(schema) => envelope(schema(schemas), &[("next_cursor", cursor)]),
            Self::PageWithTotal(schema) => {
                let total =
                    json!({"type": "integer", "minimum": 0, "description": "Number of entries in the list."});
                envelope(schema(schemas), &[("next_cursor", cursor), ("total", total)])
            }
            Self::Plain(content_type, schema) => (content_type, schema.clone()),
        })
    }
}
