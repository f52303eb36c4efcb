//! Checks the functions' calls against the permissions of their roles in the template.
//!
//! [`call_recorder`] sees the calls of all clients that functions use in tests. A call that the function's role does
//! not allow fails its test. All calls are also recorded in a file, because tests run in several processes: only all
//! tests together make every call of a function ([`called`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use aws_sdk_apigatewaymanagement::operation::delete_connection::DeleteConnectionInput;
use aws_sdk_apigatewaymanagement::operation::get_connection::GetConnectionInput;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionInput;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, Input,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor, dyn_dispatch_hint};
use aws_smithy_types::config_bag::ConfigBag;
use observe::meter;

use crate::build::root;

/// An action of a function on a resource, in the template's notation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The function's name in the template.
    pub function: String,
    /// The action, such as `dynamodb:Query`.
    pub action: String,
    /// The resource, such as `!GetAtt Table.Arn`.
    pub on: String,
}

/// The table, in the template's notation.
const TABLE: &str = "!GetAtt Table.Arn";
/// All sockets of the stage, in the template's notation.
const SOCKETS: &str =
    r#"!Sub "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Sockets}/live/*""#;

/// Returns a function's name in the template: `MarkAsRead` for `mark-as-read`.
pub fn resource(function: &str) -> String {
    let upper = |word: &str| word[..1].to_uppercase() + &word[1..];
    function.split('-').map(upper).collect()
}

/// Returns the resources of the template by name, each as its text.
pub fn resources() -> BTreeMap<String, String> {
    let template = fs::read_to_string(root().join("infra/template.yaml")).expect("the template");
    let (_, resources) = template.split_once("\nResources:\n").expect("resources");
    let (resources, _) = resources.split_once("\nOutputs:\n").expect("outputs");
    let mut found = BTreeMap::<String, String>::new();
    let mut name = String::new();
    for line in resources.lines() {
        if let Some(new) = line.strip_prefix("  ").filter(|rest| rest.starts_with(char::is_uppercase)) {
            new.trim_end_matches(':').clone_into(&mut name);
        }
        let lines = found.entry(name.clone()).or_default();
        lines.push_str(line);
        lines.push('\n');
    }
    found
}

/// Returns the actions that a role or policy of the template allows, each with the resource that it is allowed on.
pub fn statements(block: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for statement in block.split("- Effect: Allow\n").skip(1) {
        let actions = statement.split_once("Action: [").expect("actions").1.split(']').next();
        let on = statement.split_once("Resource: ").expect("a resource").1.lines().next();
        let on = on.expect("a line").to_owned();
        found
            .extend(actions.expect("a list").split(',').map(|action| (action.trim().to_owned(), on.clone())));
    }
    found
}

/// Returns what the functions' roles allow, by their own statements and by the policies that they reference.
pub fn allowed() -> BTreeSet<Permission> {
    let resources = resources();
    let mut allowed = BTreeSet::new();
    for (function, block) in &resources {
        if !block.contains("\n    Type: AWS::Serverless::Function\n") {
            continue;
        }
        let role = &resources[&format!("{function}Role")];
        let policies = role.split_once("ManagedPolicyArns: [").expect("policies").1.split(']').next();
        let policies = policies
            .expect("a list")
            .split(',')
            .map(|used| &resources[used.trim().trim_start_matches("!Ref ")]);
        for (action, on) in std::iter::once(role).chain(policies).flat_map(|block| statements(block)) {
            allowed.insert(Permission { function: function.clone(), action, on });
        }
    }
    allowed
}

/// Returns an interceptor that records and checks the calls of an SDK client.
pub fn call_recorder() -> SharedInterceptor {
    SharedInterceptor::new(CallRecorder)
}

#[derive(Debug)]
struct CallRecorder;

#[dyn_dispatch_hint]
impl Intercept for CallRecorder {
    fn name(&self) -> &'static str {
        "CallRecorder"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Calls outside of a function are the test's own.
        if let Some(function) = meter::serving().map(resource) {
            for (action, on) in actions(context.input()) {
                record(&Permission { function: function.clone(), action: action.to_owned(), on });
            }
        }
        Ok(())
    }
}

/// Records and checks a call to the bucket of files. Keys count by their prefix, such as `up/`. A list has a query instead.
///
/// S3 says that an object is missing only to callers that may list the bucket: to others it answers 403.
pub(crate) fn record_call_to_files(function: &str, method: &str, key: &str, copied_from: Option<&str>) {
    if key.starts_with('?') {
        let on = "!GetAtt Files.Arn".to_owned();
        return record(&Permission { function: resource(function), action: "s3:ListBucket".to_owned(), on });
    }
    let below = |key: &str| {
        let prefix = key.split('/').next().unwrap_or_default();
        format!("!Sub \"${{Files.Arn}}/{prefix}/*\"")
    };
    let mut permissions = Vec::new();
    let action = match method {
        "GET" | "HEAD" => "s3:GetObject",
        "PUT" => "s3:PutObject",
        _ => "s3:DeleteObject",
    };
    permissions.push((action, below(key)));
    permissions.extend(copied_from.map(|from| ("s3:GetObject", below(from))));
    if permissions.iter().any(|(action, _)| *action == "s3:GetObject") {
        permissions.push(("s3:ListBucket", "!GetAtt Files.Arn".to_owned()));
    }
    for (action, on) in permissions {
        record(&Permission { function: resource(function), action: action.to_owned(), on });
    }
}

/// Returns the permissions that a call needs (Service Authorization Reference); for a transaction, those of its writes.
fn actions(input: &Input) -> BTreeSet<(&'static str, String)> {
    let table = |action| BTreeSet::from([(action, TABLE.to_owned())]);
    if input.downcast_ref::<GetItemInput>().is_some() {
        return table("dynamodb:GetItem");
    }
    if input.downcast_ref::<BatchGetItemInput>().is_some() {
        return table("dynamodb:BatchGetItem");
    }
    if input.downcast_ref::<PutItemInput>().is_some() {
        return table("dynamodb:PutItem");
    }
    if input.downcast_ref::<UpdateItemInput>().is_some() {
        return table("dynamodb:UpdateItem");
    }
    if input.downcast_ref::<DeleteItemInput>().is_some() {
        return table("dynamodb:DeleteItem");
    }
    if let Some(query) = input.downcast_ref::<QueryInput>() {
        let on = query.index_name().map(|index| format!("!Sub \"${{Table.Arn}}/index/{index}\""));
        return BTreeSet::from([("dynamodb:Query", on.unwrap_or_else(|| TABLE.to_owned()))]);
    }
    if let Some(transaction) = input.downcast_ref::<TransactWriteItemsInput>() {
        let kinds = transaction.transact_items().iter().flat_map(|write| {
            [
                write.put().map(|_| "dynamodb:PutItem"),
                write.update().map(|_| "dynamodb:UpdateItem"),
                write.delete().map(|_| "dynamodb:DeleteItem"),
                write.condition_check().map(|_| "dynamodb:ConditionCheckItem"),
            ]
        });
        return kinds.flatten().map(|action| (action, TABLE.to_owned())).collect();
    }
    let of_sockets = input.downcast_ref::<PostToConnectionInput>().is_some()
        || input.downcast_ref::<DeleteConnectionInput>().is_some()
        || input.downcast_ref::<GetConnectionInput>().is_some();
    assert!(of_sockets, "{} does not know this call", file!());
    BTreeSet::from([("execute-api:ManageConnections", SOCKETS.to_owned())])
}

fn file() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    test.ancestors().nth(2).expect("target/debug").join("calls-of-functions")
}

/// Records a call in the file, and panics if it is not allowed.
fn record(call: &Permission) {
    static ALLOWED: LazyLock<BTreeSet<Permission>> = LazyLock::new(allowed);
    static RECORDED: Mutex<BTreeSet<Permission>> = Mutex::new(BTreeSet::new());
    let Permission { function, action, on } = call;
    if RECORDED.lock().unwrap_or_else(PoisonError::into_inner).insert(call.clone()) {
        let line = format!("{function} {action} {on}\n");
        let opened = fs::OpenOptions::new().append(true).create(true).open(file());
        opened.expect("a file").write_all(line.as_bytes()).expect("a line");
    }
    assert!(ALLOWED.contains(call), "infra/template.yaml: {function} may not {action} on {on}");
}

/// Returns what functions have called in all tests since the file was removed.
///
/// # Panics
/// If there is no file, because no other test has run before.
pub fn called() -> BTreeSet<Permission> {
    let lines = fs::read_to_string(file()).expect("the calls of all other tests");
    let parse = |line: &str| {
        let mut words = line.splitn(3, ' ').map(ToOwned::to_owned);
        let mut word = || words.next().expect("a word");
        Permission { function: word(), action: word(), on: word() }
    };
    lines.lines().map(parse).collect()
}
