//! Takes the items out of DynamoDB's answers before the SDK parses the answers.
//!
//! The SDK parses each item into a map of attributes. Where an answer has many items, that costs more than the rest of
//! the call. This connector stands between the SDK and its HTTP client, keeps the items as text, and leaves the SDK the
//! rest of the answer: consumed capacity, where the query ended, unprocessed keys.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Formatter};
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::ConfigBag;
use domain::error::Error;
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::failure::failed_call;
use crate::item::{AttributeRanges, Item, ItemText};
use crate::typed_json::{JsonText, malformed};

tokio::task_local! {
    /// The items of the answer to the current call; an error if the answer is malformed.
    static ITEMS: RefCell<Option<Result<Vec<Item>, Error>>>;
}

/// Awaits a call and returns its items beside its output, which does not have them.
///
/// # Errors
/// As the call; `Internal` if its answer is malformed or did not come through an [`ItemReader`].
pub(crate) async fn read<T, E>(
    call: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<(T, Vec<Item>), Error>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let take = async {
        let output = call.await.map_err(failed_call)?;
        let items = ITEMS.with(RefCell::take);
        let items =
            items.ok_or_else(|| Error::internal("the answer did not come through the item reader"))?;
        Ok((output, items?))
    };
    ITEMS.scope(RefCell::default(), take).await
}

/// An HTTP client, or a connector of one, that takes the items out of the answers to the calls in [`read`].
#[derive(Debug)]
pub(crate) struct ItemReader<T>(pub(crate) T);

impl HttpClient for ItemReader<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(ItemReader(self.0.http_connector(settings, components)))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

impl HttpConnector for ItemReader<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        if ITEMS.try_with(|_| ()).is_err() {
            return answer;
        }
        HttpConnectorFuture::new(async {
            let mut answer = answer.await?;
            if answer.status().is_success() {
                take_items(&mut answer).await?;
            }
            Ok(answer)
        })
    }
}

/// Moves the items of an answer to [`ITEMS`].
async fn take_items(answer: &mut HttpResponse) -> Result<(), ConnectorError> {
    let body = std::mem::replace(answer.body_mut(), SdkBody::empty());
    let body = ByteStream::new(body).collect().await.map_err(|error| ConnectorError::io(error.into()))?;
    let parsed = match String::from_utf8(body.into_bytes().into()) {
        Ok(text) => items_and_rest(text).map_err(|error| malformed::<AnswerVisitor<'_, '_>>(&error)),
        Err(error) => Err(Error::internal(error)),
    };
    let (items, rest) = match parsed {
        Ok((items, rest)) => (Ok(items), rest),
        // The SDK gets an answer with nothing in it, because an error of a connector would be taken for a lost one.
        Err(error) => (Err(error), "{}".to_owned()),
    };
    ITEMS.with(|slot| slot.replace(Some(items)));
    *answer.body_mut() = SdkBody::from(rest);
    Ok(())
}

/// Returns the items of an answer, and the answer without them.
fn items_and_rest(answer: String) -> Result<(Vec<Item>, String), serde_json::Error> {
    let (mut found, mut json) = (Found::default(), serde_json::Deserializer::from_str(&answer));
    let rest = json.deserialize_map(AnswerVisitor(Reading { answer: &answer, found: &mut found }))?;
    json.end()?;
    let shared = Arc::new(ItemText { text: answer, attributes: found.attributes });
    let items = found.items.into_iter().map(|item| match item {
        FoundItem::Shared(range) => Item::new(&shared, range),
        FoundItem::Own(item) => item,
    });
    Ok((items.collect(), rest))
}

/// The items that were found in an answer.
#[derive(Default)]
struct Found {
    items: Vec<FoundItem>,
    /// The attributes of the items in the text of the answer.
    attributes: Vec<AttributeRanges>,
}

enum FoundItem {
    /// An item that has a range of [`Found::attributes`].
    Shared(Range<usize>),
    /// An item with a text of its own.
    Own(Item),
}

/// An answer that is read, and what was found in it.
struct Reading<'de, 'f> {
    answer: &'de str,
    found: &'f mut Found,
}

impl<'de> Reading<'de, '_> {
    fn again(&mut self) -> Reading<'de, '_> {
        Reading { answer: self.answer, found: self.found }
    }

    /// Returns the range of bytes that a part of the answer takes in it.
    fn range_of(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr() - self.answer.as_ptr().addr();
        start..start + part.len()
    }
}

/// Reads an answer of `Query` (`Items`), `GetItem` (`Item`) or `BatchGetItem` (`Responses`). A missing member may be
/// `null`. Returns the answer without its items.
struct AnswerVisitor<'de, 'f>(Reading<'de, 'f>);

impl<'de> Visitor<'de> for AnswerVisitor<'de, '_> {
    type Value = String;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an answer of DynamoDB")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<String, A::Error> {
        let mut rest = String::from("{");
        while let Some(JsonText(name)) = map.next_key()? {
            match name.as_ref() {
                "Items" => map.next_value_seed(Nullable(Items(self.0.again())))?,
                "Item" => map.next_value_seed(Nullable(OneItem(self.0.again())))?,
                "Responses" => map.next_value_seed(Nullable(Tables(self.0.again())))?,
                name => {
                    let value: &RawValue = map.next_value()?;
                    let comma = if rest.len() > 1 { "," } else { "" };
                    rest.extend([comma, "\"", name, "\":", value.get()]);
                }
            }
        }
        rest.push('}');
        Ok(rest)
    }
}

/// Reads a value that may be `null`.
struct Nullable<S>(S);

impl<'de, S: DeserializeSeed<'de, Value = ()>> DeserializeSeed<'de> for Nullable<S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de, Value = ()>> Visitor<'de> for Nullable<S> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        self.0.deserialize(value)
    }
}

/// Reads a list of items.
struct Items<'de, 'f>(Reading<'de, 'f>);

impl<'de> DeserializeSeed<'de> for Items<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<(), D::Error> {
        list.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(OneItem(self.0.again()))?.is_some() {}
        Ok(())
    }
}

/// Reads the lists of items by table.
struct Tables<'de, 'f>(Reading<'de, 'f>);

impl<'de> DeserializeSeed<'de> for Tables<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, tables: D) -> Result<(), D::Error> {
        tables.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tables<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("lists of items by table")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut tables: A) -> Result<(), A::Error> {
        while tables.next_key::<IgnoredAny>()?.is_some() {
            tables.next_value_seed(Items(self.0.again()))?;
        }
        Ok(())
    }
}

/// Reads an item.
struct OneItem<'de, 'f>(Reading<'de, 'f>);

impl<'de> DeserializeSeed<'de> for OneItem<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, item: D) -> Result<(), D::Error> {
        item.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneItem<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(reading) = self;
        let first = reading.found.attributes.len();
        let mut unescaped = Vec::new();
        while let Some((JsonText(name), value)) = map.next_entry::<_, &RawValue>()? {
            match name {
                Cow::Borrowed(name) => {
                    let ranges = [name, value.get()].map(|part| reading.range_of(part));
                    reading.found.attributes.push(ranges);
                }
                Cow::Owned(name) => unescaped.push((name, value.get())),
            }
        }
        let item = if unescaped.is_empty() {
            FoundItem::Shared(first..reading.found.attributes.len())
        } else {
            // A name with an escape is not part of the text as it is, so the item gets a text of its own.
            let others = reading.found.attributes.drain(first..);
            let others =
                others.map(|[name, value]| (reading.answer[name].to_owned(), &reading.answer[value]));
            FoundItem::Own(others.chain(unescaped).collect())
        };
        reading.found.items.push(item);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::time::Duration;

    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::retry::RetryConfig;
    use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Region};
    use aws_sdk_dynamodb::types::AttributeValue;
    use aws_smithy_runtime_api::client::http::http_client_fn;

    use super::*;
    use crate::item::{from_item, text};

    fn parts(answer: &str) -> (Vec<Item>, String) {
        items_and_rest(answer.to_owned()).unwrap()
    }

    #[test]
    fn a_query_keeps_all_but_its_items() {
        let (items, rest) = parts(
            r#"{"Count":2, "Items" : [ {"pk":{"S":"a \"quoted\" key"}, "n" : {"N":"1"}}, {"n":{"N":"2"},"pk":{"S":"é"}} ],
                "LastEvaluatedKey":{"pk":{"S":"é"}},"ScannedCount":2}"#,
        );
        assert_eq!(rest, r#"{"Count":2,"LastEvaluatedKey":{"pk":{"S":"é"}},"ScannedCount":2}"#);
        let keys: Vec<_> = items.iter().map(|item| text(item, "pk").unwrap()).collect();
        assert_eq!(keys, ["a \"quoted\" key", "é"]);
        let numbers: Vec<_> = items.iter().map(|item| item.get::<u8>("n")).collect();
        assert_eq!(numbers, [Some(1), Some(2)]);
    }

    #[test]
    fn one_item_several_tables_and_none_are_found() {
        let (items, rest) = parts(r#"{"Item":{"n":{"N":"1"}},"ConsumedCapacity":{"CapacityUnits":0.5}}"#);
        assert_eq!((items.len(), rest.as_str()), (1, r#"{"ConsumedCapacity":{"CapacityUnits":0.5}}"#));
        let (items, rest) = parts(r#"{"Responses":{"t":[{},{}],"u":[{}]},"UnprocessedKeys":{}}"#);
        assert_eq!((items.len(), rest.as_str()), (3, r#"{"UnprocessedKeys":{}}"#));
        for nothing in ["{}", r#"{"Items":null,"Item":null,"Responses":null}"#] {
            let (items, rest) = parts(nothing);
            assert_eq!((items.len(), rest.as_str()), (0, "{}"));
        }
    }

    #[test]
    fn names_may_be_escaped() {
        let (items, _) = parts(r#"{"Item":{"n":{"N":"1"},"w\u005fa\u003d":{"N":"2"},"m":{"N":"3"}}}"#);
        let numbers = ["n", "w_a=", "m"].map(|name| items[0].get::<u8>(name));
        assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn an_item_becomes_what_it_is_read_as() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Body {
            n: u8,
            list: Vec<String>,
            none: Option<u8>,
            #[serde(default)]
            missing: bool,
        }
        let (items, _) = parts(
            r#"{"Item":{"pk":{"S":"p"},"none":{"NULL":true},"list":{"L":[{"S":"x"}]},"n":{"N":"9"},"s":{"SS":[]}}}"#,
        );
        let body = Body { n: 9, list: vec!["x".to_owned()], none: None, missing: false };
        assert_eq!(from_item::<Body>(&items[0]).unwrap(), body);
    }

    #[test]
    fn malformed_answers_are_errors() {
        for answer in [
            "",
            "[]",
            "{",
            r#"{"Items":{}}"#,
            r#"{"Items":[1]}"#,
            r#"{"Item":1}"#,
            "{}{}",
            r#"{"Item":{"n":}}"#,
        ] {
            assert!(items_and_rest(answer.to_owned()).is_err(), "{answer}");
        }
    }

    /// An HTTP client that gives these answers, one after the other: their statuses and bodies.
    #[derive(Debug)]
    struct Script(Arc<Mutex<VecDeque<(u16, SdkBody)>>>);

    impl HttpConnector for Script {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let (status, body) = self.0.lock().unwrap().pop_front().unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body)))
        }
    }

    /// Returns a client behind an [`ItemReader`] whose database gives these answers.
    fn client<const N: usize>(answers: [(u16, &str); N]) -> Client {
        let answers =
            Arc::new(Mutex::new(answers.map(|(status, body)| (status, SdkBody::from(body))).into()));
        let script = http_client_fn(move |_, _| SharedHttpConnector::new(Script(answers.clone())));
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://database.invalid")
            .allow_no_auth()
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .http_client(SharedHttpClient::new(ItemReader(script)));
        Client::from_conf(config.build())
    }

    /// Reads an item of a table with no key, which the scripts do not look at. Returns the attributes `n` that it finds.
    async fn numbers(client: &Client) -> Result<Vec<u8>, Error> {
        let get = client.get_item().table_name("t").key("pk", AttributeValue::S(String::new()));
        let (output, items) = read(Box::pin(get.send())).await?;
        assert!(output.item.is_none());
        Ok(items.iter().filter_map(|item| item.get("n")).collect())
    }

    #[tokio::test]
    async fn a_retry_returns_its_own_items() {
        let client = client([(500, r#"{"Item":{"n":{"N":"1"}}}"#), (200, r#"{"Item":{"n":{"N":"2"}}}"#)]);
        assert_eq!(numbers(&client).await.unwrap(), [2]);
    }

    #[tokio::test]
    async fn calls_in_one_task_keep_their_items_apart() {
        let client =
            client([(200, r#"{"Item":{"n":{"N":"1"}}}"#), (200, "{}"), (200, r#"{"Item":{"n":{"N":"3"}}}"#)]);
        let found = tokio::try_join!(numbers(&client), numbers(&client), numbers(&client)).unwrap();
        assert_eq!(found, (vec![1], vec![], vec![3]));
    }

    #[tokio::test]
    async fn other_calls_are_left_to_the_sdk() {
        let client = client([(200, r#"{"Item":{"n":{"N":"1"}}}"#)]);
        let get = client.get_item().table_name("t").key("pk", AttributeValue::S(String::new()));
        assert_eq!(get.send().await.unwrap().item.unwrap()["n"], AttributeValue::N("1".to_owned()));
    }

    #[tokio::test]
    async fn a_malformed_answer_is_no_lost_one() {
        let client =
            client([(200, r#"{"Item":{"n":"a secret"}}"#), (200, r#"{"Items":["a secret"]}"#), (200, "")]);
        assert!(numbers(&client).await.unwrap().is_empty());
        for _ in 0..2 {
            let error = numbers(&client).await.unwrap_err();
            assert!(matches!(error, Error::Internal(_)), "{error:?}");
            assert!(!observe::log::reason(&error).contains("secret"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_call_past_the_reader_is_an_error() {
        type Answer = Result<(), SdkError<aws_sdk_dynamodb::operation::query::QueryError>>;
        let read = read(async { Answer::Ok(()) }).await;
        assert!(matches!(read, Err(Error::Internal(_))));
    }
}
