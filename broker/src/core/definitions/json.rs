//! Field tables as JSON and back, as the management interface and definition
//! files have them.

use crate::core::field::{FieldTable, FieldValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

/// A table as a JSON object; of a repeated name the first counts.
pub fn to_json(table: &FieldTable) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, value) in &table.0 {
        if !map.contains_key(name) {
            map.insert(name.clone(), value_to_json(value));
        }
    }
    map
}

fn value_to_json(value: &FieldValue) -> Value {
    let float = |n: f64| Number::from_f64(n).map_or(Value::Null, Value::Number);
    match value {
        FieldValue::Bool(v) => (*v).into(),
        FieldValue::I8(v) => (*v).into(),
        FieldValue::U8(v) => (*v).into(),
        FieldValue::I16(v) => (*v).into(),
        FieldValue::U16(v) => (*v).into(),
        FieldValue::I32(v) => (*v).into(),
        FieldValue::U32(v) => (*v).into(),
        FieldValue::I64(v) => (*v).into(),
        FieldValue::Timestamp(v) => (*v).into(),
        FieldValue::F32(v) => float(f64::from(*v)),
        FieldValue::F64(v) => float(*v),
        FieldValue::Decimal { scale, value } => {
            float(f64::from(*value) / 10f64.powi(i32::from(*scale)))
        }
        FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => text(bytes).into(),
        FieldValue::Array(items) => items.iter().map(value_to_json).collect(),
        FieldValue::Table(table) => Value::Object(to_json(table)),
        FieldValue::Void => Value::Null,
    }
}

/// Bytes as text where they are UTF-8, else in Base64.
pub fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => STANDARD.encode(bytes),
    }
}

/// A JSON object as a table: whole numbers become 64 bit, text long strings.
pub fn from_json(map: &Map<String, Value>) -> FieldTable {
    FieldTable(
        map.iter()
            .map(|(name, value)| (name.clone(), value_from_json(value)))
            .collect(),
    )
}

fn value_from_json(value: &Value) -> FieldValue {
    match value {
        Value::Null => FieldValue::Void,
        Value::Bool(v) => FieldValue::Bool(*v),
        Value::Number(n) => match n.as_i64() {
            Some(n) => FieldValue::I64(n),
            None => FieldValue::F64(n.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => FieldValue::string(text.as_str()),
        Value::Array(items) => FieldValue::Array(items.iter().map(value_from_json).collect()),
        Value::Object(map) => FieldValue::Table(from_json(map)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_survives_the_way_through_json() {
        let value = json!({"x": 1, "l": [1, "a"], "t": {"k": true}, "n": null, "f": 1.5});
        let map = value.as_object().expect("an object");
        assert_eq!(Value::Object(to_json(&from_json(map))), value);
    }

    #[test]
    fn bytes_that_are_no_text_come_out_in_base64() {
        let table = FieldTable(vec![("b".into(), FieldValue::LongString(vec![0xff, 0xfe]))]);
        assert_eq!(Value::Object(to_json(&table)), json!({"b": "//4="}));
    }
}
