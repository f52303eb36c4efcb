//! The architecture's rules, checked: one name everywhere, routes as in the template, keys in the store alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use harness::World;
use harness::build::root;
use harness::roles::{resource, resources, statements};
use local::gateway::{ALLOWED_HEADERS, MAX_AGE};
use local::stream::{FAN_OUT, NOTIFY};
use observe::metrics::Metric;
use serde_json::{Value, json};
use store::table;

/// The paths of the template's events for requests that match no other route.
const CATCH_ALL: [&str; 2] = ["/", "/{proxy+}"];

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The functions' crates; `all` is what makes one binary of them.
pub(crate) fn functions() -> Vec<String> {
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

/// The method and path of each event in the template, except for those of unknown routes.
pub(crate) fn routes_of_the_template() -> BTreeSet<(String, String)> {
    let template = text("infra/template.yaml");
    let routes = template.lines().filter_map(|line| {
        let (_, rest) = line.split_once("Method: ")?;
        let (method, rest) = rest.split_once(", Path: \"")?;
        Some((method.to_owned(), rest.split('"').next()?.to_owned()))
    });
    routes.filter(|(_, path)| !CATCH_ALL.contains(&path.as_str())).collect()
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

/// The Markdown documents of the project: the README and all under `docs/`.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    for folder in ["docs", "docs/decisions"] {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        found.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    found
}

#[test]
fn links_in_the_documents_lead_to_what_they_name() {
    let mut checked = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (label, rest) in text.split('[').filter_map(|part| part.split_once("](")) {
            let target = rest.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(document.with_file_name(target).exists(), "{}: {target}", document.display());
            if let Some(number) = label.strip_prefix("decision").map(str::trim_start) {
                let file = target.rsplit('/').next().unwrap();
                assert!(
                    file.starts_with(&format!("{number:0>4}-")),
                    "{}: {label}: {target}",
                    document.display()
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} links were found");
}

#[test]
fn every_function_is_in_the_template_and_in_the_local_stack() {
    let template = text("infra/template.yaml");
    let served = functions::http().into_iter().map(|(name, _)| name);
    let served = served.chain(functions::SOCKETS).chain(functions::STREAM).chain(functions::CLOCK);
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

/// The routes that everyone may read.
pub(crate) const ABOUT: [&str; 4] = ["/health", "/docs", "/api/openapi.json", "/api/push/key"];
/// The routes that take no token, because they give one.
const OPEN: [&str; 4] = ["/api/auth/register", "/api/auth/login", "/api/auth/refresh", "/api/auth/logout"];

/// The links to files, which need no token: these are none, because the id is malformed.
const LINKS: [&str; 2] = ["/api/attachments/{id}", "/api/pictures/{id}"];

#[tokio::test]
async fn the_routes_of_the_template_are_those_served() {
    let declared = routes_of_the_template();
    assert_eq!(declared, routes_of_the_sources());
    let world = World::new().await;
    for (method, path) in declared {
        let answer = world.anonymous().call(&method, &path, &[], "").await;
        if ABOUT.contains(&path.as_str()) {
            answer.expect(200);
        } else if LINKS.contains(&path.as_str()) {
            answer.refused(400, "invalid_request");
        } else if OPEN.contains(&path.as_str()) {
            // Those who are about to get a token are asked for a body instead.
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
fn lambdas_binary_optimizes_what_the_local_stack_does_not() {
    // These are not part of Lambda's binary.
    const LOCAL: [&str; 2] = ["clap_builder", "libsqlite3-sys"];
    let packages = |file: &str| -> BTreeSet<String> {
        let header =
            |line: &str| Some(line.strip_prefix("[profile.release.package.")?.strip_suffix(']')?.to_owned());
        text(file).lines().filter_map(header).filter(|name| !LOCAL.contains(&name.as_str())).collect()
    };
    let (local, lambda) = (packages("Cargo.toml"), packages("functions/all/.cargo/config.toml"));
    assert!(!local.is_empty());
    assert!(local.is_subset(&lambda), "{local:?} are not all in {lambda:?}");
}

#[test]
fn the_prices_count_the_metrics_of_all_functions() {
    let prices: Value = serde_json::from_str(&text("infra/prices.json")).unwrap();
    let counted = |level: &str| prices["idle"][level]["custom_metrics"].as_u64().unwrap();
    let count =
        |is_counted: fn(Metric) -> bool| Metric::ALL.into_iter().filter(|each| is_counted(*each)).count();
    let by_function = count(Metric::is_by_function);
    let full = functions().len() * by_function + Metric::ALL.len() - by_function;
    assert_eq!((counted("basic"), counted("full")), (count(Metric::is_basic) as u64, full as u64));
}

#[test]
fn keys_are_formatted_in_the_store_alone() {
    let mut files = Vec::new();
    for folder in ["functions", "shared", "local/src"] {
        sources(&root().join(folder), &mut files);
    }
    let store = root().join("shared/store");
    for file in files.iter().filter(|file| !file.starts_with(&store)) {
        let source = fs::read_to_string(file).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        for prefix in ["C#", "U#", "Q#", "M#", "R#", "K#", "B#", "E#", "T#", "N#", "F#", "S#", "L#", "X#"] {
            assert!(!source.contains(&format!("\"{prefix}")), "{} formats a key", file.display());
        }
    }
}

#[test]
fn the_table_of_the_template_is_the_one_of_the_code() {
    let table = store::table::definition("tidings").unwrap();
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
    wanted.push(format!("AttributeName: {}\n", store::table::EXPIRES));
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
        let patterns = block.split("Pattern: '").skip(1).map(|rest| rest.split('\'').next().unwrap());
        let patterns: Vec<Value> = patterns.map(|text| serde_json::from_str(text).unwrap()).collect();
        let pattern = |change: &str, prefix: &str| {
            let keys = json!({ "sk": { "S": [{ "prefix": prefix }] } });
            json!({ "eventName": [change], "dynamodb": { "Keys": keys } })
        };
        let (wanted, mapping) = match function {
            "fan-out" => {
                let reactions = json!({ "dynamodb": pattern("", store::REACTION)["dynamodb"] });
                (vec![pattern("INSERT", store::LOG), reactions], FAN_OUT)
            }
            _ => (vec![pattern("INSERT", table::MESSAGE), pattern("REMOVE", table::WAITING_USER)], NOTIFY),
        };
        assert_eq!(patterns, wanted, "{function}");
        let window = format!("MaximumBatchingWindowInSeconds: {}", mapping.window.as_secs());
        assert_eq!(block.lines().any(|line| line.trim() == window), !mapping.window.is_zero(), "{function}");
        for line in [
            "Type: DynamoDB".to_owned(),
            "Stream: !GetAtt Table.StreamArn".to_owned(),
            "StartingPosition: TRIM_HORIZON".to_owned(),
            "FunctionResponseTypes: [ReportBatchItemFailures]".to_owned(),
            format!("BatchSize: {}", mapping.batch),
            format!("Timeout: {}", local::stream::TIMEOUT.as_secs()),
        ] {
            assert!(block.lines().any(|found| found.trim() == line), "{function} lacks {line}");
        }
    }
    assert_eq!(template.matches("Type: DynamoDB\n").count(), functions::STREAM.len());
}

#[test]
fn the_clock_invokes_functions_as_the_local_stack_does() {
    let resources = resources();
    for function in functions::CLOCK {
        let block = &resources[&resource(function)];
        assert!(block.contains("            Schedule: rate(1 hour)\n"), "{function}");
        let timeout = format!("      Timeout: {}\n", local::sweeping::TIMEOUT.as_secs());
        assert!(block.contains(&timeout), "{function} lacks {timeout}");
        assert_eq!(block.matches("Type: ").count(), 2, "nothing else invokes {function}");
    }
}

fn is_a(block: &str, kind: &str) -> bool {
    block.contains(&format!("\n    Type: {kind}\n"))
}

/// The resource that a line or a text names after a function of the template's language.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let uses = ["!Ref ", "!GetAtt ", "${"].into_iter().flat_map(|how| line.split(how).skip(1));
    let end = |c: char| !c.is_alphanumeric() && c != ':';
    uses.map(move |used| used.split(end).next().unwrap()).filter(|name| !name.starts_with("AWS:"))
}

#[test]
fn each_function_has_a_role_of_its_own() {
    let resources = resources();
    for function in functions() {
        let name = resource(&function);
        let (block, role) = (&resources[&name], &resources[&format!("{name}Role")]);
        assert!(block.contains(&format!("\n      Role: !GetAtt {name}Role.Arn\n")), "{name}");
        // A function that may push knows the endpoint.
        let pushes = role.contains("ManagedPolicyArns: [!Ref WriteLogs, !Ref PushToSockets]\n");
        assert!(pushes || role.contains("ManagedPolicyArns: [!Ref WriteLogs]\n"), "{name}");
        assert_eq!(block.contains("TIDINGS_PUSH_ENDPOINT: "), pushes, "{name}");
    }
    assert_eq!(resources.values().filter(|block| is_a(block, "AWS::IAM::Role")).count(), functions().len());
}

#[test]
fn no_permission_is_for_everything() {
    let resources = resources();
    let mut count = 0;
    for (name, block) in &resources {
        count += block.matches("- Effect: Allow\n").count();
        for (action, on) in statements(block) {
            assert!(!action.contains('*'), "{name} allows {action}");
            let is_ours = named(&on).any(|used| resources.contains_key(used));
            assert!(is_ours, "{name} allows {action} on {on}");
        }
    }
    // None was overlooked: trust in Lambda is on one line. What is denied may be for everything.
    let template = text("infra/template.yaml");
    count += template.matches("- Effect: Deny\n").count();
    assert_eq!(template.matches("Resource: ").count(), count);
    assert_eq!(template.matches("Effect: Allow,").count(), functions().len());
    for managed in ["Policies:\n        - Dynamo", "AWSLambda", "arn:aws:iam", "iam::aws"] {
        assert!(!template.contains(managed), "a policy that is not ours: {managed}");
    }
}

#[test]
fn logs_are_kept_as_long_as_was_said_and_no_longer() {
    let resources = resources();
    let groups = resources.iter().filter(|(_, block)| is_a(block, "AWS::Logs::LogGroup"));
    for (name, block) in groups {
        assert!(block.contains("RetentionInDays: !Ref LogRetention\n"), "{name}");
    }
    let template = text("infra/template.yaml");
    for line in ["LogGroup: !Ref Logs", "LogFormat: JSON", "SystemLogLevel: WARN"] {
        assert_eq!(template.lines().filter(|found| found.trim() == line).count(), 1, "{line}");
    }
}

#[test]
fn alarms_and_the_dashboard_look_at_what_exists() {
    let (template, resources) = (text("infra/template.yaml"), resources());
    let (_, parameters) = template.split_once("\nParameters:\n").unwrap();
    let parameters = parameters.split("\nRules:\n").next().unwrap();
    let guide = text("docs/operations.md");
    let mut watched = BTreeMap::<&str, BTreeSet<String>>::new();
    for (name, block) in &resources {
        let is_alarm = is_a(block, "AWS::CloudWatch::Alarm");
        if !is_alarm && !is_a(block, "AWS::CloudWatch::Dashboard") {
            continue;
        }
        for used in named(block) {
            let exists = resources.contains_key(used) || parameters.contains(&format!("\n  {used}:\n"));
            assert!(exists, "{name} looks at {used}");
        }
        if is_alarm {
            assert!(block.contains("AlarmActions: [!Ref AlarmTopic]\n"), "{name} tells nobody");
            assert!(guide.contains(&format!("`{name}`")), "{name} is not explained");
            for metric in ["Errors", "Throttles", "Duration"] {
                if block.contains(&format!("MetricName: {metric}")) {
                    let functions = block.split("{ Name: FunctionName, Value: !Ref ").skip(1);
                    let functions = functions.map(|rest| rest.split(' ').next().unwrap().to_owned());
                    watched.entry(metric).or_default().extend(functions);
                }
            }
        }
    }
    let mut all: BTreeSet<String> = functions().iter().map(|function| resource(function)).collect();
    assert_eq!(watched["Throttles"], all);
    assert_eq!(watched["Duration"], all);
    assert!(all.iter().all(|name| resources["Dashboard"].contains(&format!("\"${{{name}}}\""))));
    let after = |block: &str, text: &str| -> BTreeSet<String> {
        let named = block.split(text).skip(1).map(|rest| rest.trim_start_matches([' ', '"', ',']));
        named.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()).collect()
    };
    let indexes = after(&resources["Table"], "IndexName: ");
    assert_eq!(indexes.len(), 2);
    assert_eq!(after(&resources["TableThrottled"], "GlobalSecondaryIndexName, Value: "), indexes);
    assert_eq!(after(&resources["Dashboard"], "\"GlobalSecondaryIndexName\""), indexes);
    // To Lambda, refusing a token is an error.
    all.remove("WsAuthorizer");
    assert_eq!(watched["Errors"], all);
    let own =
        resources.values().flat_map(|block| block.split("Namespace: Tidings\n      MetricName: ").skip(1));
    let own: Vec<&str> = own.map(|rest| rest.lines().next().unwrap()).collect();
    assert_eq!(own, [format!("{:?}", observe::metrics::Metric::PushesFailed)]);
    // It is published even with the fewest metrics.
    assert!(observe::metrics::Metric::PushesFailed.is_basic());
}

#[test]
fn unknown_routes_go_to_one_function_and_preflights_to_none() {
    let resources = resources();
    let takers: Vec<&str> = resources
        .iter()
        .filter(|(_, block)| CATCH_ALL.iter().any(|path| block.contains(&format!("Path: \"{path}\""))))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(takers, ["About"]);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        assert!(resources["About"].contains(&format!("Method: {method}, Path: \"/{{proxy+}}\"")), "{method}");
    }
    // Either of these would take OPTIONS from API Gateway, which answers it without a function.
    let template = text("infra/template.yaml");
    for greedy in
        ["Properties: { ApiId: !Ref Api }", "$default, ", "Method: ANY", "Method: OPTIONS", "Method: \"*\""]
    {
        assert!(!template.contains(greedy), "{greedy}");
    }
}

#[test]
fn api_gateway_answers_preflights_as_the_local_stack_does() {
    let api = resources().remove("Api").unwrap();
    let (_, headers) = api.split_once("AllowHeaders: [").unwrap();
    let headers = headers.split(']').next().unwrap().split(',').map(str::trim);
    assert_eq!(headers.collect::<Vec<_>>(), ALLOWED_HEADERS);
    assert!(api.contains(&format!("MaxAge: {}\n", MAX_AGE.as_secs())));
    assert!(api.contains("AllowMethods: [GET, POST, PUT, PATCH, DELETE]\n"));
    assert!(api.contains("ExposeHeaders: [x-request-id, retry-after]\n"));
}

#[test]
fn the_stages_set_parameters_that_exist() {
    let (template, stages) = (text("infra/template.yaml"), text("samconfig.toml"));
    let mut set = 0;
    for line in stages.lines().filter_map(|line| line.trim().strip_prefix('"')) {
        let (name, _) = line.split_once('=').unwrap();
        assert!(template.contains(&format!("\n  {name}:\n    Type: ")), "{name}");
        set += usize::from(name == "SecretVersion");
    }
    assert_eq!(set, stages.matches("stack_name = ").count(), "each stage says which secrets it uses");
}

#[test]
fn the_guide_wakes_the_fan_out_with_an_event_that_it_takes() {
    let guide = text("docs/operations.md");
    let event = guide.split("--payload '").nth(1).unwrap().split('\'').next().unwrap();
    let event: aws_lambda_events::dynamodb::Event = serde_json::from_str(event).unwrap();
    let change = &event.records[0].change;
    let key = serde_json::to_value(&change.keys).unwrap();
    assert!(store::table::wakes(&event.records[0].event_name, key["sk"]["S"].as_str().unwrap()));
    let group = domain::id::ConversationId::new(domain::id::ConversationKind::Group);
    let pk = key["pk"]["S"].as_str().unwrap().replace("CONVERSATION", group.as_str());
    let sk = key["sk"]["S"].as_str().unwrap();
    assert_eq!(store::Task::of(&pk, sk), Some(store::Task::Changes(group)));
}
