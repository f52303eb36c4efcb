//! The published API documents are fresh, complete, and readable offline. `harness::documents` checks each answer and
//! frame that a test gets against them.

use std::collections::BTreeSet;
use std::fs;

use harness::World;
use harness::build::root;
use harness::documents::{ASYNCAPI, OPENAPI, fault_of_answer, fault_of_body, fault_of_frame};
use serde_json::{Value, json};

use crate::structure::routes_of_the_template;

/// The page for human readers, which the document does not describe.
const PAGE: (&str, &str) = ("GET", "/docs");

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn the_documents_are_fresh() {
    for (path, fresh) in
        [("docs/openapi.json", openapi::openapi()), ("docs/asyncapi.json", openapi::asyncapi())]
    {
        assert!(text(path) == fresh, "{path} is stale: run `make openapi`");
    }
}

#[test]
fn the_document_has_the_routes_that_are_served() {
    let mut described = BTreeSet::new();
    for (path, methods) in OPENAPI["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let mut served = routes_of_the_template();
    assert!(served.remove(&(PAGE.0.to_owned(), PAGE.1.to_owned())));
    assert_eq!(described, served);
}

/// Collects the targets of all references in a document.
fn references(document: &Value, found: &mut BTreeSet<String>) {
    match document {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| references(entry, found)),
        _ => {}
    }
}

#[test]
fn references_lead_to_something() {
    for document in [&*OPENAPI, &*ASYNCAPI] {
        let mut found = BTreeSet::new();
        references(document, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }
}

#[test]
fn operation_ids_are_unique() {
    let mut names = BTreeSet::new();
    for methods in OPENAPI["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{operation}");
        }
    }
}

#[test]
fn every_code_of_the_source_is_documented() {
    let source = text("shared/domain/src/error.rs");
    let codes = source.split("fn code(&self)").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let codes: BTreeSet<&str> = codes.split('"').skip(1).step_by(2).collect();
    let documented =
        OPENAPI["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    assert_eq!(codes, documented.iter().map(|code| code.as_str().unwrap()).collect());
}

#[test]
fn every_event_of_the_source_is_documented() {
    let source = text("shared/domain/src/event.rs");
    let (stored, _) = source.split_once("\n}\n").unwrap();
    // A variant's name fills its attribute; a renamed field has more in it, or stands further to the right.
    let stored =
        stored.split("\n    #[serde(rename = \"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let stored: BTreeSet<&str> = stored.collect();
    let queued = OPENAPI["components"]["schemas"]["Event"]["discriminator"]["mapping"].as_object().unwrap();
    assert_eq!(stored, queued.keys().map(String::as_str).collect());
    let pushed = ASYNCAPI["components"]["schemas"]["TruncatedEvent"]["properties"]["type"]["enum"].clone();
    let pushed: BTreeSet<String> = serde_json::from_value(pushed).unwrap();
    let all = stored.iter().chain(&["presence"]).map(|kind| (*kind).to_owned());
    assert_eq!(pushed, all.collect());
}

#[test]
fn examples_match_their_schemas() {
    let mut seen = 0;
    for (path, methods) in OPENAPI["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(example) = operation.pointer("/requestBody/content/application~1json/example") else {
                continue;
            };
            assert_eq!(fault_of_body(method, path, example), None);
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn undocumented_answers_are_faults() {
    let counts =
        |body: &Value| fault_of_answer("GET", "/api/messages/unread-count", 200, "application/json", body);
    let mut body = json!({"success": true, "data": {"unread_count": 1, "conversations": 1, "mention_count": 0, "unmuted_unread_count": 1, "unmuted_conversations": 1}, "message": "OK"});
    assert_eq!(counts(&body), None);
    body["data"]["new"] = json!(1);
    assert!(counts(&body).unwrap().contains("new"));
    body["data"] = json!({"unread_count": 1});
    assert!(counts(&body).unwrap().contains("conversations"));
    assert!(fault_of_answer("GET", "/api/messages/unread-count", 409, "application/json", &body).is_some());
    assert!(fault_of_answer("POST", "/api/messages/unread-count", 200, "application/json", &body).is_some());
    let problem = |code: &str| {
        let problem = json!({
            "type": "about:blank", "title": "Forbidden", "status": 403, "detail": "No.", "code": code,
            "success": false, "message": "No.",
        });
        fault_of_answer("PUT", "/api/conversations/x/read", 403, "application/problem+json", &problem)
    };
    assert_eq!(problem("not_a_participant"), None);
    assert!(problem("not_an_admin").is_some());
    assert!(fault_of_body("POST", "/api/messages/send", &json!({"message_text": "x"})).is_some());
    assert_eq!(fault_of_frame(&json!({"type": "pong", "ref": 1})), None);
    assert!(fault_of_frame(&json!({"type": "pong", "ref": 1, "more": 1})).is_some());
    assert!(fault_of_frame(&json!({"type": "news"})).is_some());
}

#[tokio::test]
async fn the_document_is_served() {
    let world = World::new().await;
    let answer = world.anonymous().get("/api/openapi.json").await.expect(200);
    assert_eq!(answer.json, *OPENAPI);
}

#[tokio::test]
async fn the_page_loads_nothing_external() {
    let world = World::new().await;
    let answer = world.anonymous().get("/docs").await.expect(200);
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    let page = text("functions/about/src/docs.html");
    for external in ["http:", "https:", "//cdn", "@import", "src="] {
        assert!(!page.contains(external), "{external}");
    }
}
