//! The statistics as CSV, typed lines and JSON: what monitoring tools read.

use std::fmt::Write as _;

use super::column::{COLUMNS, STATIC_COLUMNS};
use super::row::Row;
use super::value::{Tags, Value};

/// The machine-readable forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Typed,
    Json,
}

/// The first line of the CSV: `# ` and the names, each followed by a comma.
pub fn csv_header(out: &mut String) {
    out.push_str("# ");
    for (position, column) in COLUMNS.iter().enumerate() {
        if position == STATIC_COLUMNS {
            out.push_str("-,");
        }
        out.push_str(column.name);
        out.push(',');
    }
    out.push('\n');
}

/// One CSV line; with `desc`, each value is followed by what the column means.
pub fn csv_row(row: &Row, desc: bool, out: &mut String) {
    for (position, column) in COLUMNS.iter().enumerate() {
        if position == STATIC_COLUMNS {
            out.push_str("-,");
        }
        match column.value(row) {
            Value::Str(text) => quoted(&text, out),
            value => push(out, &value),
        }
        if desc && !column.value(row).is_none() {
            let _ = write!(out, ":\"{}\"", column.doc);
        }
        out.push(',');
    }
    out.push('\n');
}

/// Text as a CSV field: in quotes only when it must be.
fn quoted(text: &str, out: &mut String) {
    if text.contains(['"', ',', '\n', '\r']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

fn push(out: &mut String, value: &Value<'_>) {
    // writing to a String cannot fail
    let _ = write!(out, "{value}");
}

/// One line per value: `F.2.0.0.pxname.1:KNS:str:name`.
pub fn typed_row(row: &Row, desc: bool, out: &mut String) {
    for (position, column) in COLUMNS.iter().enumerate() {
        let value = column.value(row);
        if value.is_none() {
            continue;
        }
        let letters = column.tags(row).letters().map(char::from);
        let _ = write!(
            out,
            "{}.{}.{}.{}.{}.1:{}{}{}:{}:{}",
            row.kind.letter(),
            row.proxy_id,
            row.id,
            position,
            column.name,
            letters[0],
            letters[1],
            letters[2],
            value.type_name(),
            value
        );
        if desc {
            let _ = write!(out, ":\"{}\"", column.doc);
        }
        out.push('\n');
    }
}

/// One row as an array of fields.
pub fn json_row(row: &Row, desc: bool, out: &mut String) {
    out.push('[');
    let mut first = true;
    for (position, column) in COLUMNS.iter().enumerate() {
        let value = column.value(row);
        if value.is_none() {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        let _ = write!(
            out,
            "{{\"objType\":\"{}\",\"proxyId\":{},\"id\":{},",
            row.kind.word(),
            row.proxy_id,
            row.id
        );
        json_field(position, column.name, column.tags(row), &value, out);
        if desc {
            out.push_str(",\"desc\":");
            json_text(column.doc, out);
        }
        out.push('}');
    }
    out.push(']');
}

/// The part that statistics and process information share, without the braces around it.
pub fn json_field(position: usize, name: &str, tags: Tags, value: &Value<'_>, out: &mut String) {
    let (origin, nature, scope) = tags.words();
    let _ = write!(
        out,
        "\"field\":{{\"pos\":{position},\"name\":\"{name}\"}},\"processNum\":1,\
         \"tags\":{{\"origin\":\"{origin}\",\"nature\":\"{nature}\",\"scope\":\"{scope}\"}},\
         \"value\":{{\"type\":\"{}\",\"value\":",
        value.type_name()
    );
    match value {
        Value::Str(text) => json_text(text, out),
        // beyond 2^53 a reader of JSON would round
        Value::U64(number) => push(out, &Value::U64((*number).min((1 << 53) - 1))),
        value => push(out, value),
    }
    out.push('}');
}

fn json_text(text: &str, out: &mut String) {
    // a str always serialises
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The JSON schema of `show stat json` and `show info json`.
pub fn json_schema() -> String {
    let reference = |name: &str| serde_json::json!({"$ref": format!("#/definitions/{name}")});
    let typed = |name: &str, minimum: i64, maximum: i64| {
        serde_json::json!({
            "properties": {
                "type": {"type": "string", "enum": [name]},
                "value": {"type": "integer", "minimum": minimum, "maximum": maximum}
            },
            "required": ["type", "value"]
        })
    };
    let exact = (1i64 << 53) - 1;
    serde_json::json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "oneOf": [
            {
                "title": "Info", "type": "array",
                "items": {
                    "title": "InfoItem", "type": "object",
                    "properties": {
                        "field": reference("field"), "processNum": reference("processNum"),
                        "tags": reference("tags"), "value": reference("typedValue")
                    },
                    "required": ["field", "processNum", "tags", "value"]
                }
            },
            {
                "title": "Stat", "type": "array",
                "items": {
                    "type": "array",
                    "items": {
                        "title": "StatItem", "type": "object",
                        "properties": {
                            "objType": {"enum": ["Frontend", "Backend", "Listener", "Server", "Unknown"]},
                            "proxyId": {"type": "integer", "minimum": 0},
                            "id": {"type": "integer", "minimum": 0},
                            "field": reference("field"), "processNum": reference("processNum"),
                            "tags": reference("tags"), "value": reference("typedValue")
                        },
                        "required": ["objType", "proxyId", "id", "field", "processNum", "tags", "value"]
                    }
                }
            },
            {
                "title": "Error", "type": "object",
                "properties": {"errorStr": {"type": "string"}},
                "required": ["errorStr"]
            }
        ],
        "definitions": {
            "field": {
                "type": "object",
                "properties": {"pos": {"type": "integer", "minimum": 0}, "name": {"type": "string"}},
                "required": ["pos", "name"]
            },
            "processNum": {"type": "integer", "minimum": 1},
            "tags": {
                "type": "object",
                "properties": {
                    "origin": {"type": "string", "enum": ["Metric", "Status", "Key", "Config", "Product", "Unknown"]},
                    "nature": {"type": "string", "enum": ["Gauge", "Limit", "Min", "Max", "Rate", "Counter", "Duration", "Age", "Time", "Name", "Output", "Avg", "Unknown"]},
                    "scope": {"type": "string", "enum": ["Cluster", "Process", "Service", "System", "Unknown"]}
                },
                "required": ["origin", "nature", "scope"]
            },
            "typedValue": {
                "type": "object",
                "oneOf": [
                    reference("s32Value"), reference("s64Value"), reference("u32Value"),
                    reference("u64Value"), reference("strValue")
                ]
            },
            "s32Value": typed("s32", i64::from(i32::MIN), i64::from(i32::MAX)),
            "s64Value": typed("s64", -exact, exact),
            "u32Value": typed("u32", 0, i64::from(u32::MAX)),
            "u64Value": typed("u64", 0, exact),
            "strValue": {
                "properties": {
                    "type": {"type": "string", "enum": ["str"]},
                    "value": {"type": "string"}
                },
                "required": ["type", "value"]
            }
        }
    })
    .to_string()
}

#[cfg(test)]
mod tests;
