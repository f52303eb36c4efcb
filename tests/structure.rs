//! The architecture's rules, checked: one name everywhere, routes as in the template, keys in the store alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::World;
use harness::process::root;
use serde_json::{Value, json};

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The functions' folders; `all` is what makes one binary of them.
fn functions() -> Vec<String> {
    let folders = fs::read_dir(root().join("functions")).unwrap();
    let names = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "all").collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `MarkAsRead` of `mark-as-read`.
fn resource(function: &str) -> String {
    let upper = |word: &str| word[..1].to_uppercase() + &word[1..];
    function.split('-').map(upper).collect()
}

/// The method and path of each event in the template.
pub(crate) fn routes_of_the_template() -> BTreeSet<(String, String)> {
    let template = text("infra/template.yaml");
    let routes = template.lines().filter_map(|line| {
        let (_, rest) = line.split_once("Method: ")?;
        let (method, rest) = rest.split_once(", Path: \"")?;
        Some((method.to_owned(), rest.split('"').next()?.to_owned()))
    });
    routes.collect()
}

/// The method and path of each route in the functions' sources.
fn routes_of_the_sources() -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    for function in functions() {
        let source = text(&format!("functions/{function}/src/lib.rs"));
        for route in source.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once('"').unwrap();
            let methods = rest.split('\n').next().unwrap();
            for method in ["get", "post", "put", "patch", "delete"] {
                if methods.contains(&format!(" {method}(")) || methods.contains(&format!(".{method}(")) {
                    routes.insert((method.to_uppercase(), path.to_owned()));
                }
            }
        }
    }
    routes
}

#[test]
fn every_function_is_in_the_template_and_in_the_local_stack() {
    let template = text("infra/template.yaml");
    let served = functions::http().into_iter().map(|(name, _)| name);
    let served = served.chain(functions::SOCKETS).chain(functions::STREAM);
    let served: BTreeSet<_> = served.map(ToOwned::to_owned).collect();
    assert_eq!(served, functions().into_iter().collect());
    for function in functions() {
        let block = format!("  {}:\n    Type: AWS::Serverless::Function\n", resource(&function));
        assert!(template.contains(&block), "{function} is not in the template");
        assert!(template.contains(&format!("      Handler: {function}\n")), "{function} is not started");
    }
    assert_eq!(template.matches("        Binary: bootstrap\n").count(), functions().len());
    assert_eq!(template.matches("AWS::Serverless::Function\n").count(), functions().len());
}

/// The routes that take no token.
const OPEN: [&str; 4] = ["/api/auth/register", "/api/auth/login", "/api/auth/refresh", "/api/auth/logout"];

#[tokio::test]
async fn the_routes_of_the_template_are_those_served() {
    let declared = routes_of_the_template();
    assert_eq!(declared, routes_of_the_sources());
    let world = World::new().await;
    for (method, path) in declared {
        let answer = world.anonymous().call(&method, &path, &[], "").await;
        // Those who are about to get a token are asked for a body instead.
        if OPEN.contains(&path.as_str()) {
            answer.refused(415, "unsupported_media_type");
        } else {
            answer.refused(401, "not_authenticated");
        }
    }
}

#[test]
fn a_function_starts_in_three_lines() {
    for function in functions() {
        let main = text(&format!("functions/{function}/src/main.rs"));
        assert!(main.lines().count() <= 8, "{function}");
    }
}

#[test]
fn keys_are_formatted_in_the_store_alone() {
    let mut files = Vec::new();
    for folder in ["functions", "shared/src", "local/src"] {
        sources(&root().join(folder), &mut files);
    }
    let store = root().join("shared/src/store");
    for file in
        files.iter().filter(|file| !file.starts_with(&store) && !file.ends_with("shared/src/store.rs"))
    {
        let source = fs::read_to_string(file).unwrap();
        for prefix in ["C#", "U#", "Q#", "M#", "R#", "K#", "B#", "E#", "T#", "W#", "N#", "F#", "S#", "L#"] {
            assert!(!source.contains(&format!("\"{prefix}")), "{} formats a key", file.display());
        }
    }
}

#[test]
fn the_table_of_the_template_is_the_one_of_the_code() {
    let table = shared::store::table::definition("tidings").unwrap();
    let template = text("infra/template.yaml");
    let mut wanted: Vec<String> = Vec::new();
    for attribute in table.attribute_definitions() {
        wanted.push(format!("{{ AttributeName: {}, AttributeType: S }}", attribute.attribute_name()));
    }
    for index in table.global_secondary_indexes() {
        wanted.push(format!("IndexName: {}", index.index_name()));
        let shown = index.projection().unwrap().non_key_attributes();
        let list = shown.iter().fold(String::new(), |list, name| list + "              - " + name + "\n");
        wanted.push(format!("NonKeyAttributes:\n{list}"));
    }
    wanted.push(format!("AttributeName: {}\n", shared::store::table::EXPIRES));
    let stream = table.stream_specification().unwrap();
    assert!(stream.stream_enabled());
    wanted.push(format!("StreamViewType: {}\n", stream.stream_view_type().unwrap()));
    for part in wanted {
        assert!(template.contains(&part), "the template lacks {part}");
    }
    assert_eq!(template.matches("AttributeType: S").count(), table.attribute_definitions().len());
    assert_eq!(template.matches("IndexName:").count(), table.global_secondary_indexes().len());
}

#[test]
fn lambda_wakes_the_streams_functions_as_the_local_stack_does() {
    let template = text("infra/template.yaml");
    for function in functions::STREAM {
        let (_, block) = template.split_once(&format!("  {}:\n", resource(function))).unwrap();
        let block = block.split("\n\n").next().unwrap();
        let pattern = block.split_once("Pattern: '").unwrap().1.split('\'').next().unwrap();
        let pattern: Value = serde_json::from_str(pattern).unwrap();
        let log = json!([{ "prefix": shared::store::LOG }]);
        assert_eq!(
            pattern,
            json!({ "eventName": ["INSERT"], "dynamodb": { "Keys": { "sk": { "S": log } } } })
        );
        for line in [
            "Type: DynamoDB".to_owned(),
            "Stream: !GetAtt Table.StreamArn".to_owned(),
            "StartingPosition: TRIM_HORIZON".to_owned(),
            "FunctionResponseTypes: [ReportBatchItemFailures]".to_owned(),
            format!("BatchSize: {}", local::stream::BATCH),
            format!("Timeout: {}", local::stream::TIMEOUT.as_secs()),
        ] {
            assert!(block.lines().any(|found| found.trim() == line), "{function} lacks {line}");
        }
    }
    assert_eq!(template.matches("Type: DynamoDB\n").count(), functions::STREAM.len());
}
