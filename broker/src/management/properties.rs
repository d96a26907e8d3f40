//! Message properties as JSON and back.

use super::reply::Reply;
use crate::core::definitions::json::{
    from_json as table_from_json, text, to_json as table_to_json,
};
use crate::core::properties::{Properties, table_of};
use serde_json::{Map, Value, json};

/// Properties of a message as the API shows them; those that are not set are left out.
pub fn to_json(header: &[u8]) -> Value {
    let Ok(p) = Properties::decode(header) else {
        return json!({});
    };
    let mut map = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            map.insert(name.to_owned(), value);
        }
    };
    let string = |bytes: Option<&[u8]>| bytes.map(|b| Value::from(text(b)));
    put("cluster_id", string(p.cluster_id));
    put("app_id", string(p.app_id));
    put("user_id", string(p.user_id));
    put("type", string(p.kind));
    put("timestamp", p.timestamp.map(Value::from));
    put("message_id", string(p.message_id));
    put("expiration", string(p.expiration));
    put("reply_to", string(p.reply_to));
    put("correlation_id", string(p.correlation_id));
    put("priority", p.priority.map(Value::from));
    put("delivery_mode", p.delivery_mode.map(Value::from));
    put(
        "headers",
        p.headers
            .map(|h| Value::Object(table_to_json(&table_of(h)))),
    );
    put("content_encoding", string(p.content_encoding));
    put("content_type", string(p.content_type));
    Value::Object(map)
}

/// A content header's payload for a body of `size` bytes; unknown names are ignored.
pub fn from_json(map: &Map<String, Value>, size: usize) -> Result<Vec<u8>, Reply> {
    let text = |name: &str| match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= 255 => Ok(Some(text.as_bytes())),
        Some(Value::String(_)) => Err(Reply::bad_request(json!(["too_long", name]))),
        Some(_) => Err(Reply::bad_request(json!(["not_string", name]))),
    };
    let number = |name: &str| match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| Reply::bad_request(json!(["not_int", name]))),
    };
    let octet = |name: &str| {
        let small =
            |n: u64| u8::try_from(n).map_err(|_| Reply::bad_request(json!(["not_int", name])));
        number(name)?.map(small).transpose()
    };
    let headers = match map.get("headers") {
        None | Some(Value::Null) => None,
        Some(Value::Object(headers)) => Some(table_from_json(headers).to_bytes()),
        Some(Value::Array(items)) if items.is_empty() => None,
        Some(_) => return Err(Reply::bad_request(json!(["not_table", "headers"]))),
    };
    // the length before the table is written by the encoder
    let headers = headers
        .as_deref()
        .map(|bytes| bytes.get(4..).unwrap_or_default());
    let properties = Properties {
        content_type: text("content_type")?,
        content_encoding: text("content_encoding")?,
        headers,
        delivery_mode: octet("delivery_mode")?,
        priority: octet("priority")?,
        correlation_id: text("correlation_id")?,
        reply_to: text("reply_to")?,
        expiration: text("expiration")?,
        message_id: text("message_id")?,
        timestamp: number("timestamp")?,
        kind: text("type")?,
        user_id: text("user_id")?,
        app_id: text("app_id")?,
        cluster_id: text("cluster_id")?,
    };
    Ok(properties.encode(size as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_survive_the_way_through_the_wire_form() {
        let value = json!({
            "priority": 3,
            "delivery_mode": 2,
            "headers": {"x": 1, "l": [1, "a"], "t": {"k": true}},
            "content_type": "text/plain",
        });
        let header = from_json(value.as_object().expect("an object"), 5).expect("sound");
        assert_eq!(to_json(&header), value);
    }

    #[test]
    fn wrong_types_are_named() {
        let value = json!({"delivery_mode": "x"});
        let reply = from_json(value.as_object().expect("an object"), 0).expect_err("refused");
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(body.contains(r#"["not_int","delivery_mode"]"#), "{body}");
    }
}
