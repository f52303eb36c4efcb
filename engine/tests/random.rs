//! Random requests: every operation and every kind of expression that Tidings uses, valid and invalid, on few keys.

use serde_json::{Map, Value, json};

use crate::engines::TABLE;

/// A generator of random requests.
pub(crate) struct Random {
    state: u64,
    /// Whether the present write is part of a transaction. AWS then checks expressions as in single writes, but dynoxide
    /// checks less.
    in_transaction: bool,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, in_transaction: false }
    }

    /// A number below `end` (xorshift64*).
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(bits).unwrap() % end
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn sort(&mut self) -> String {
        let prefix = self.one(&["C#", "M#", "é", "M", "\u{1F600}"]);
        format!("{prefix}{}", self.below(4))
    }

    fn partition(&mut self) -> String {
        format!("U#{}", self.below(3))
    }

    fn key(&mut self) -> Value {
        let mut key = json!({"pk": {"S": self.partition()}, "sk": {"S": self.sort()}});
        match self.below(150) {
            // Dynoxide compares invalid keys with each other, too.
            _ if self.in_transaction => {}
            0 => key["sk"] = json!({"S": ""}),
            1 => key["sk"] = json!({"N": "1"}),
            2 => key["more"] = json!({"S": "x"}),
            3 => drop(key.as_object_mut().unwrap().remove("pk")),
            4 => key["pk"] = json!({"S": "k".repeat(3000)}),
            _ => {}
        }
        key
    }

    fn number(&mut self) -> Value {
        let number = self.one(&[
            "0",
            "1",
            "-1",
            "7",
            "10.50",
            "1e3",
            "1700000000000",
            "-0.001",
            "12345678901234567890",
        ]);
        json!({ "N": number })
    }

    /// A value of an attribute that may have any type.
    fn value(&mut self) -> Value {
        match self.below(12) {
            0..3 => self.number(),
            3..7 => json!({"S": self.one(&["", "a", "ab", "b", "\u{e9}", "\"quoted\"\n\u{1}"])}),
            7 => json!({"BOOL": self.chance(50)}),
            8 => json!({"NULL": true}),
            9 => json!({"B": self.one(&["", "AAEC", "/w=="])}),
            10 => json!({"L": [{"S": "x"}, self.number()]}),
            _ => {
                json!({"M": {"text": {"S": self.one(&["hello", "", "x"])}, "inner": {"M": {"n": self.number()}}}})
            }
        }
    }

    /// An attribute with a value that it can have.
    fn attribute(&mut self) -> (&'static str, Value) {
        let name =
            self.one(&["activity", "unread", "head", "n", "name", "content", "big", "flag", "any", "any2"]);
        let value = match name {
            // In a transaction, dynoxide refuses an empty text in another way.
            "activity" | "unread" if self.below(60) == 0 => {
                if self.in_transaction {
                    self.number()
                } else {
                    self.value()
                }
            }
            "activity" | "unread" | "head" => json!({"S": format!("{:03}", self.below(9))}),
            "n" => self.number(),
            "big" => json!({"S": "x".repeat(self.below(4) * 1000 + self.below(60))}),
            _ => self.value(),
        };
        (name, value)
    }

    fn item(&mut self) -> Value {
        let mut item = self.key();
        for _ in 0..self.below(7) {
            let (name, value) = self.attribute();
            item[name] = value;
        }
        item
    }

    /// Adds a condition to a write.
    fn conditioned(&mut self, write: &mut Value, placeholders: &mut Placeholders) {
        if self.chance(55) {
            write["ConditionExpression"] = self.condition(placeholders, 2).into();
        }
        if self.chance(50) {
            write["ReturnValuesOnConditionCheckFailure"] = self.one(&["ALL_OLD", "NONE"]).into();
        }
    }

    fn condition(&mut self, placeholders: &mut Placeholders, depth: usize) -> String {
        if depth > 0 && self.chance(40) {
            let (one, other) =
                (self.condition(placeholders, depth - 1), self.condition(placeholders, depth - 1));
            return match self.below(3) {
                0 => format!("{one} AND {other}"),
                1 => format!("({one} OR {other})"),
                _ => format!("{one} or ({other})"),
            };
        }
        let (attribute, value) = self.attribute();
        let path = match attribute {
            "content" if self.chance(50) => {
                format!("content.{}", placeholders.name("text"))
            }
            "any" | "flag" => attribute.to_owned(),
            _ => placeholders.name(attribute),
        };
        match self.below(10) {
            0 | 1 => format!("attribute_exists({path})"),
            2 | 3 => format!("attribute_not_exists({path})"),
            4 => {
                let prefix = if self.in_transaction || self.chance(97) { json!({"S": "0"}) } else { value };
                format!("begins_with({path}, {})", placeholders.value(prefix))
            }
            5 => {
                // AWS refuses a range whose end is before its start, also in filters, where dynoxide does not.
                let (low, high) = (self.below(5), 4 + self.below(5));
                let bound = |at: usize| json!({"S": format!("{at:03}")});
                let low = placeholders.value(bound(low));
                format!("{path} BETWEEN {low} AND {}", placeholders.value(bound(high)))
            }
            6 => format!("{path} = {}", placeholders.name("head")),
            _ => {
                let operator = self.one(&["=", "=", "<", "<=", ">", ">="]);
                let is_ordered = ["S", "N", "B"].iter().any(|kind| value.get(kind).is_some());
                // AWS refuses constants without an order.
                let value = if is_ordered || operator == "=" { value } else { self.number() };
                format!("{path} {operator} {}", placeholders.value(value))
            }
        }
    }

    fn update(&mut self, placeholders: &mut Placeholders) -> String {
        let (mut sets, mut adds, mut removes) = (Vec::new(), Vec::new(), Vec::new());
        let mut used = Vec::new();
        for _ in 0..=self.below(4) {
            let (attribute, value) = self.attribute();
            if used.contains(&attribute) && self.chance(95) {
                continue;
            }
            used.push(attribute);
            let name = placeholders.name(attribute);
            match self.below(8) {
                0 => removes.push(name),
                1 if attribute == "n" || self.chance(20) => {
                    let number = self.number();
                    adds.push(format!("{name} {}", placeholders.value(number)));
                }
                2 => sets.push(format!("{name} = if_not_exists({name}, {})", placeholders.value(value))),
                _ => sets.push(format!("{name} = {}", placeholders.value(value))),
            }
        }
        // In a transaction, dynoxide would let it.
        if self.below(100) == 0 && !self.in_transaction {
            sets.push(format!("{} = {}", placeholders.name("sk"), placeholders.value(json!({"S": "x"}))));
        }
        let clauses = [("SET", sets), ("ADD", adds), ("REMOVE", removes)];
        let clauses = clauses.iter().filter(|(_, parts)| !parts.is_empty());
        clauses.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
    }

    /// The members of a write, and the operation that it is alone.
    fn write(&mut self) -> (&'static str, Value) {
        let mut placeholders = Placeholders::default();
        let mut write = json!({ "TableName": TABLE });
        let operation = self.one(&["PutItem", "UpdateItem", "UpdateItem", "DeleteItem"]);
        if operation == "PutItem" {
            write["Item"] = self.item();
        } else {
            write["Key"] = self.key();
        }
        if operation == "UpdateItem" && self.chance(97) {
            write["UpdateExpression"] = self.update(&mut placeholders).into();
        }
        self.conditioned(&mut write, &mut placeholders);
        placeholders.add_to(&mut write, self);
        (operation, write)
    }

    fn transaction(&mut self) -> Value {
        let count = 1 + self.below(6);
        self.in_transaction = true;
        let items = (0..count).map(|_| {
            let (operation, mut write) = self.write();
            let kind = match operation {
                "PutItem" => "Put",
                "UpdateItem" => "Update",
                _ if self.chance(50) && write.get("ConditionExpression").is_some() => "ConditionCheck",
                _ => "Delete",
            };
            if kind == "Update" && write.get("UpdateExpression").is_none() {
                write["UpdateExpression"] = "REMOVE flag".into();
            }
            json!({ kind: write })
        });
        let items: Vec<Value> = items.collect();
        self.in_transaction = false;
        json!({ "TransactItems": items })
    }

    fn query(&mut self) -> Value {
        let mut placeholders = Placeholders::default();
        let mut query = json!({ "TableName": TABLE });
        let index = self.one(&["", "", "activity", "unread"]);
        let sort = if index.is_empty() { "sk" } else { index };
        if !index.is_empty() {
            query["IndexName"] = index.into();
        }
        let mut keys = format!("pk = {}", placeholders.value(json!({"S": self.partition()})));
        let bound = |random: &mut Self| match index {
            "" => random.one(&["C", "C#1", "M#", "M#3", "\u{e9}1", "\u{1F600}", "~"]).to_owned(),
            _ => format!("{:03}", random.below(9)),
        };
        if self.chance(70) {
            let one = placeholders.value(json!({"S": bound(self)}));
            let part = match self.below(8) {
                0..3 => format!("begins_with({sort}, {one})"),
                3 | 4 => {
                    format!("{sort} BETWEEN {one} AND {}", placeholders.value(json!({"S": bound(self)})))
                }
                _ => format!("{sort} {} {one}", self.one(&["=", "<", "<=", ">", ">="])),
            };
            keys = if self.chance(85) { format!("{keys} AND {part}") } else { format!("{part} AND {keys}") };
        }
        query["KeyConditionExpression"] = keys.into();
        if self.chance(30) {
            query["FilterExpression"] = self.condition(&mut placeholders, 1).into();
        }
        if self.chance(40) {
            // AWS refuses attributes that the index does not project, but dynoxide leaves them out.
            let shown = if index == "unread" {
                "n, sk".to_owned()
            } else {
                format!("n, head, content.{}", placeholders.name("text"))
            };
            query["ProjectionExpression"] = shown.into();
        }
        placeholders.add_to(&mut query, self);
        if self.chance(60) {
            query["Limit"] = (1 + self.below(5)).into();
        }
        if self.chance(60) {
            query["ScanIndexForward"] = self.chance(50).into();
        }
        if self.chance(30) {
            query["ConsistentRead"] = (index.is_empty() || self.chance(5)).into();
        }
        query
    }

    fn scan(&mut self) -> Value {
        let mut placeholders = Placeholders::default();
        let mut scan = json!({ "TableName": TABLE });
        if self.chance(50) {
            scan["FilterExpression"] = self.condition(&mut placeholders, 1).into();
        }
        if self.chance(50) {
            scan["ProjectionExpression"] = "pk, sk, n".into();
        }
        placeholders.add_to(&mut scan, self);
        scan
    }

    /// A request with its operation.
    pub(crate) fn request(&mut self) -> (&'static str, Value) {
        let (operation, mut request) = match self.below(12) {
            0..4 => {
                let (operation, mut write) = self.write();
                if self.chance(60) {
                    let item = if operation == "UpdateItem" { "ALL_NEW" } else { "ALL_OLD" };
                    write["ReturnValues"] = self.one(&["NONE", item]).into();
                }
                (operation, write)
            }
            4..7 => ("TransactWriteItems", self.transaction()),
            7 => {
                let entries = (0..=self.below(4)).map(|_| {
                    if self.chance(60) {
                        json!({"PutRequest": {"Item": self.item()}})
                    } else {
                        json!({"DeleteRequest": {"Key": self.key()}})
                    }
                });
                let entries: Vec<Value> = entries.collect();
                ("BatchWriteItem", json!({"RequestItems": {TABLE: entries}}))
            }
            8 => {
                let keys: Vec<Value> = (0..=self.below(4)).map(|_| self.key()).collect();
                let keys = json!({"Keys": keys, "ConsistentRead": self.chance(50)});
                ("BatchGetItem", json!({"RequestItems": {TABLE: keys}}))
            }
            9 => {
                ("GetItem", json!({"TableName": TABLE, "Key": self.key(), "ConsistentRead": self.chance(50)}))
            }
            10 if self.chance(20) => ("Scan", self.scan()),
            _ => ("Query", self.query()),
        };
        if self.chance(80) {
            request["ReturnConsumedCapacity"] = self.one(&["TOTAL", "INDEXES", "NONE"]).into();
        }
        (operation, request)
    }
}

/// The placeholders of a request.
#[derive(Default)]
struct Placeholders {
    names: Map<String, Value>,
    values: Map<String, Value>,
}

impl Placeholders {
    fn name(&mut self, name: &str) -> String {
        self.names.insert(format!("#{name}"), name.into());
        format!("#{name}")
    }

    fn value(&mut self, value: Value) -> String {
        let placeholder = format!(":{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// Adds the placeholders to a request: sometimes one too many, or one too few.
    fn add_to(mut self, request: &mut Value, random: &mut Random) {
        match random.below(150) {
            // Dynoxide checks none in transactions, and in updates without an expression.
            _ if random.in_transaction || request.get("Key").is_some() => {}
            0 => drop(self.name("unused")),
            1 => drop(self.value(json!({"S": "unused"}))),
            2 => drop(self.names.remove("#head")),
            3 => drop(self.values.remove(":0")),
            _ => {}
        }
        if !self.names.is_empty() {
            request["ExpressionAttributeNames"] = self.names.into();
        }
        if !self.values.is_empty() {
            request["ExpressionAttributeValues"] = self.values.into();
        }
    }
}
