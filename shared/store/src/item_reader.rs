//! Takes the items out of DynamoDB's answers before the SDK parses these.
//!
//! The SDK parses each item into a map of attributes, which costs more than the rest of the call where an answer has many
//! items. This connector stands between the SDK and its HTTP client, keeps the items as text, and leaves the SDK what it
//! needs beside them: consumed capacity, where the query ended, unprocessed keys.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Formatter};
use std::ops::Range;
use std::pin::Pin;
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
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::failure::failed_call;
use crate::item::Item;

tokio::task_local! {
    /// The items of the answer to the current call.
    static ITEMS: RefCell<Option<Vec<Item>>>;
}

/// A call of the SDK, in a box because its future is large.
type Call<T, E> = Pin<Box<dyn Future<Output = Result<T, SdkError<E>>> + Send>>;

/// Awaits a call and returns its items beside its output, which does not have them.
///
/// # Errors
/// As the call; `Internal` if its answer did not come through an [`ItemReader`].
pub(crate) async fn read<T, E>(call: Call<T, E>) -> Result<(T, Vec<Item>), Error>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let take = async {
        let output = call.await.map_err(failed_call)?;
        let items = ITEMS.with(RefCell::take);
        Ok((output, items.ok_or_else(|| Error::internal("the answer did not come through the item reader"))?))
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
    let body = body.into_bytes();
    let parsed = std::str::from_utf8(&body).map_err(BoxError::from).and_then(|text| Ok(split(&text.into())?));
    let (items, rest) = parsed.map_err(|error| ConnectorError::other(error, None))?;
    ITEMS.with(|slot| slot.replace(Some(items)));
    *answer.body_mut() = SdkBody::from(rest);
    Ok(())
}

/// Returns the items of an answer, and the answer without them.
fn split(answer: &Arc<str>) -> Result<(Vec<Item>, String), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(answer);
    let parts = json.deserialize_map(AnswerVisitor(answer))?;
    json.end()?;
    Ok(parts)
}

/// Reads an answer of `Query` (`Items`), `GetItem` (`Item`), `UpdateItem` (`Attributes`) or `BatchGetItem` (`Responses`).
struct AnswerVisitor<'a>(&'a Arc<str>);

impl<'de> Visitor<'de> for AnswerVisitor<'de> {
    type Value = (Vec<Item>, String);

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an answer of DynamoDB")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut items, mut rest) = (Vec::new(), String::from("{"));
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            match name.as_ref() {
                "Items" => items.extend(map.next_value_seed(Items(self.0))?),
                "Item" | "Attributes" => items.push(map.next_value_seed(OneItem(self.0))?),
                "Responses" => items.extend(map.next_value_seed(Tables(self.0))?),
                name => {
                    let value: &RawValue = map.next_value()?;
                    let comma = if rest.len() > 1 { "," } else { "" };
                    rest.extend([comma, "\"", name, "\":", value.get()]);
                }
            }
        }
        rest.push('}');
        Ok((items, rest))
    }
}

/// Reads a list of items.
struct Items<'a>(&'a Arc<str>);

impl<'de> DeserializeSeed<'de> for Items<'de> {
    type Value = Vec<Item>;

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<Vec<Item>, D::Error> {
        list.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'de> {
    type Value = Vec<Item>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Item>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(OneItem(self.0))? {
            items.push(item);
        }
        Ok(items)
    }
}

/// Reads the lists of items by table.
struct Tables<'a>(&'a Arc<str>);

impl<'de> DeserializeSeed<'de> for Tables<'de> {
    type Value = Vec<Item>;

    fn deserialize<D: Deserializer<'de>>(self, tables: D) -> Result<Vec<Item>, D::Error> {
        tables.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tables<'de> {
    type Value = Vec<Item>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("lists of items by table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut tables: A) -> Result<Vec<Item>, A::Error> {
        let mut items = Vec::new();
        while tables.next_key::<Cow<'_, str>>()?.is_some() {
            items.extend(tables.next_value_seed(Items(self.0))?);
        }
        Ok(items)
    }
}

/// Reads an item. Names of attributes must not contain escapes; those of the table have only letters, digits and such.
struct OneItem<'a>(&'a Arc<str>);

impl OneItem<'_> {
    /// Where a part of the text is in it.
    fn range_of(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr() - self.0.as_ptr().addr();
        start..start + part.len()
    }
}

impl<'de> DeserializeSeed<'de> for OneItem<'de> {
    type Value = Item;

    fn deserialize<D: Deserializer<'de>>(self, item: D) -> Result<Item, D::Error> {
        item.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneItem<'de> {
    type Value = Item;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut attributes = Vec::with_capacity(12);
        while let Some((name, value)) = map.next_entry::<&str, &RawValue>()? {
            attributes.push([self.range_of(name), self.range_of(value.get())]);
        }
        Ok(Item::in_text(self.0, attributes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{from_item, text};

    fn parts(answer: &str) -> (Vec<Item>, String) {
        split(&answer.into()).unwrap()
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
        let (items, rest) = parts("{}");
        assert_eq!((items.len(), rest.as_str()), (0, "{}"));
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
        for answer in ["", "[]", "{", r#"{"Items":{}}"#, r#"{"Items":[1]}"#, "{}{}", r#"{"Item":{"n":}}"#] {
            assert!(split(&answer.into()).is_err(), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_call_past_the_reader_is_an_error() {
        type Answer = Result<(), SdkError<aws_sdk_dynamodb::operation::query::QueryError>>;
        let read = read(Box::pin(async { Answer::Ok(()) })).await;
        assert!(matches!(read, Err(Error::Internal(_))));
    }
}
