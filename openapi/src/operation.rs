//! A call as the document describes it.

use std::collections::{BTreeMap, BTreeSet};

use domain::error::Error;
use edge::problem::ProblemBody;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::schemas::Schemas;
use crate::{component, object, operations};

/// What a call is about.
#[derive(Clone, Copy)]
pub(crate) enum Tag {
    Messages,
    Conversations,
    Rooms,
    Users,
    Accounts,
    Events,
    Operations,
}

impl Tag {
    const ALL: [Self; 7] = [
        Self::Messages,
        Self::Conversations,
        Self::Rooms,
        Self::Users,
        Self::Accounts,
        Self::Events,
        Self::Operations,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Conversations => "conversations",
            Self::Rooms => "rooms",
            Self::Users => "users",
            Self::Accounts => "accounts",
            Self::Events => "events",
            Self::Operations => "operations",
        }
    }
}

/// The tags, in the order in which they are shown.
pub(crate) fn tags() -> Vec<Value> {
    Tag::ALL.iter().map(|tag| json!({"name": tag.name()})).collect()
}

/// Turns the schemas of a type into a part of the document once those of the others are known.
type Schema = fn(&mut Schemas) -> Value;

/// What writes the parameters of a query string: the name, the schema and whether it must be there.
type Parameters = fn(&mut Schemas) -> Vec<(String, Value, bool)>;

/// A call: its route, what it takes, what it gives and how it refuses.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    id: &'static str,
    tag: Tag,
    about: &'static str,
    path_types: Vec<Schema>,
    query: Vec<Parameters>,
    body: Option<Body>,
    answers: BTreeMap<u16, (&'static str, Answer)>,
    refusals: Vec<Error>,
    links: Option<(&'static str, &'static [&'static str])>,
    is_open: bool,
}

/// What a call reads.
struct Body {
    schema: Schema,
    example: Value,
    /// The schema of a form, where it may be one as well.
    form: Option<Schema>,
}

/// What a call gives.
enum Answer {
    Data(Schema),
    Page(Schema),
    PageOf(Schema),
    Plain(&'static str, Value),
}

impl Operation {
    pub(crate) fn new(
        (method, path): (&'static str, &'static str),
        tag: Tag,
        id: &'static str,
        about: &'static str,
    ) -> Self {
        let internal = [Error::internal(""), Error::Unavailable("".into())];
        Self {
            method,
            path,
            id,
            tag,
            about,
            path_types: Vec::new(),
            query: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            refusals: internal.into(),
            links: None,
            is_open: false,
        }
    }

    /// The type of the path's next parameter.
    pub(crate) fn at<T: JsonSchema>(mut self) -> Self {
        self.path_types.push(Schemas::read::<T>);
        self.or([Error::field("", "")])
    }

    /// The parameters of the query string.
    pub(crate) fn query<T: JsonSchema>(mut self) -> Self {
        self.query.push(Schemas::parameters::<T>);
        self.or([Error::field("", "")])
    }

    /// A JSON body, and one for example.
    pub(crate) fn takes<T: JsonSchema>(mut self, example: Value) -> Self {
        self.body = Some(Body { schema: Schemas::read::<T>, example, form: None });
        self.or([Error::field("", ""), Error::TooLarge, Error::UnsupportedMediaType("")])
    }

    /// The body may be a form as well.
    pub(crate) fn or_form<T: JsonSchema>(mut self) -> Self {
        self.body.iter_mut().for_each(|body| body.form = Some(Schemas::form::<T>));
        self
    }

    fn answers(mut self, status: u16, about: &'static str, answer: Answer) -> Self {
        self.answers.insert(status, (about, answer));
        self
    }

    /// An answer with data.
    pub(crate) fn gives<T: JsonSchema>(self, status: u16, about: &'static str) -> Self {
        self.answers(status, about, Answer::Data(Schemas::written::<T>))
    }

    /// An answer that says no more than that it is done.
    pub(crate) fn acknowledges(self, about: &'static str) -> Self {
        self.gives::<()>(200, about)
    }

    /// A page of a list.
    pub(crate) fn lists<T: JsonSchema>(self, about: &'static str) -> Self {
        self.answers(200, about, Answer::Page(Schemas::written::<T>))
    }

    /// A page of a list that says how many there are in all.
    pub(crate) fn lists_of<T: JsonSchema>(self, about: &'static str) -> Self {
        self.answers(200, about, Answer::PageOf(Schemas::written::<T>))
    }

    /// An answer without the envelope.
    pub(crate) fn plainly(self, kind: &'static str, about: &'static str, schema: Value) -> Self {
        self.answers(200, about, Answer::Plain(kind, schema))
    }

    /// Why it may be refused, beside what follows from what it takes.
    pub(crate) fn or<const N: usize>(mut self, refusals: [Error; N]) -> Self {
        self.refusals.extend(refusals);
        self
    }

    /// How often it may be done is limited.
    pub(crate) fn limited(self) -> Self {
        self.or([Error::RateLimited(1)])
    }

    /// Calls whose path's `id` may be this member of the data.
    pub(crate) fn leads_to(mut self, member: &'static str, calls: &'static [&'static str]) -> Self {
        self.links = Some((member, calls));
        self
    }

    /// It takes no token.
    pub(crate) fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// It neither takes a token nor does it reach the database.
    pub(crate) fn fixed(mut self) -> Self {
        self.refusals.clear();
        self.open()
    }

    /// The operation object.
    pub(crate) fn described(mut self, schemas: &mut Schemas) -> Value {
        if !self.is_open {
            self.refusals.push(Error::NotAuthenticated(""));
        }
        let mut described = json!({
            "operationId": self.id,
            "tags": [self.tag.name()],
            "summary": self.about,
            "responses": self.responses(schemas),
        });
        let parameters = self.parameters(schemas);
        if !parameters.is_empty() {
            described["parameters"] = parameters.into();
        }
        if let Some(body) = &self.body {
            described["requestBody"] = body.described(schemas);
        }
        if self.is_open {
            described["security"] = json!([]);
        }
        described
    }

    fn parameters(&self, schemas: &mut Schemas) -> Vec<Value> {
        let names = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut parameters = Vec::new();
        for (name, schema) in names.zip(&self.path_types) {
            parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema(schemas)}));
        }
        for (name, mut schema, required) in self.query.iter().flat_map(|query| query(schemas)) {
            let about = schema.as_object_mut().and_then(|members| members.remove("description"));
            let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema});
            if let Some(about) = about {
                parameter["description"] = about;
            }
            parameters.push(parameter);
        }
        parameters
    }

    fn responses(&self, schemas: &mut Schemas) -> Map<String, Value> {
        let mut responses = Map::new();
        for (status, (about, answer)) in &self.answers {
            let (kind, schema) = answer.described(schemas);
            let mut response = json!({"description": about, "headers": headers(*status), "content": {kind: {"schema": schema}}});
            if let Some((member, calls)) = self.links {
                let parameters = json!({"path.id": format!("$response.body#/data/{member}")});
                for call in calls {
                    response["links"][*call] = json!({"operationId": call, "parameters": parameters});
                }
            }
            responses.insert(status.to_string(), response);
        }
        let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
        for refusal in &self.refusals {
            let codes = codes.entry(refusal.status().as_u16()).or_default();
            if !codes.contains(&refusal.code()) {
                codes.push(refusal.code());
            }
        }
        problem(schemas);
        for (status, mut codes) in codes {
            codes.sort_unstable();
            let told = json!({"properties": {"status": {"const": status}, "code": {"enum": codes}}});
            let response = json!({
                "description": codes.join(", "),
                "headers": headers(status),
                "content": {"application/problem+json": {"schema": {"allOf": [component("Problem"), told]}}},
            });
            let names: Vec<String> = codes.iter().map(|code| pascal(code)).collect();
            responses.insert(status.to_string(), schemas.add_response(&names.join("Or"), response));
        }
        responses
    }
}

/// `NotFound` of `not_found`.
fn pascal(code: &str) -> String {
    let upper = |word: &str| word[..1].to_uppercase() + &word[1..];
    code.split('_').map(upper).collect()
}

/// Describes the body of a failure.
pub(crate) fn problem(schemas: &mut Schemas) {
    schemas.written::<ProblemBody<'_>>();
    let mut problem = schemas.definition("Problem");
    problem["properties"]["code"] = codes();
    problem["properties"]["success"] = json!({"const": false});
    problem["properties"]["errors"]["type"] = "array".into();
    schemas.add("Problem", problem);
}

/// Every code that a call may fail with.
pub(crate) fn codes() -> Value {
    let all = operations::all();
    let codes: BTreeSet<&str> = all.iter().flat_map(|call| &call.refusals).map(Error::code).collect();
    json!({"type": "string", "enum": codes})
}

/// The headers of an answer.
fn headers(status: u16) -> Value {
    let mut headers = json!({
        "x-request-id": {"required": true, "schema": {"type": "string"}, "description": "What the logs call the request."},
    });
    match status {
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
    fn described(&self, schemas: &mut Schemas) -> Value {
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
    fn described(&self, schemas: &mut Schemas) -> (&'static str, Value) {
        let cursor =
            json!({"type": ["string", "null"], "description": "Goes on with the list; null at its end."});
        let envelope = |data: Value, more: &[(&str, Value)]| {
            let mut members = vec![
                ("success", json!({"const": true})),
                ("data", data),
                ("message", json!({"type": "string"})),
            ];
            members.extend(more.iter().cloned());
            ("application/json", object(&members))
        };
        match self {
            Self::Data(schema) => envelope(schema(schemas), &[]),
            Self::Page(schema) => envelope(schema(schemas), &[("next_cursor", cursor)]),
            Self::PageOf(schema) => {
                let total =
                    json!({"type": "integer", "minimum": 0, "description": "How many there are in all."});
                envelope(schema(schemas), &[("next_cursor", cursor), ("total", total)])
            }
            Self::Plain(kind, schema) => (kind, schema.clone()),
        }
    }
}
