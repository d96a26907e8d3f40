//! Lists as the API gives them: filtered, sorted, in pages, with chosen columns.

use super::reply::Reply;
use super::request::Request;
use crate::core::access::Pattern;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

/// Entries of a page at most.
const PAGE_SIZE_MAX: i64 = 500;
const PAGE_SIZE_DEFAULT: i64 = 100;

/// What becomes an item of a list, if it is on the page that is asked for.
pub trait Item {
    fn name(&self) -> &str;
    /// What it is sorted by: the value at a path of the item.
    fn key(&self, path: &[&str]) -> Value;
    fn render(self) -> Value;
}

impl Item for Value {
    fn name(&self) -> &str {
        self.get("name").and_then(Value::as_str).unwrap_or("")
    }

    fn key(&self, path: &[&str]) -> Value {
        at(self, path).clone()
    }

    fn render(self) -> Value {
        self
    }
}

/// Answers with a list. Items come in their natural order.
pub fn list(request: &Request, items: Vec<Value>) -> Reply {
    Reply::ok(arranged(request, items).collect::<Vec<_>>())
}

/// Answers with a list, or, when one is asked for, with a page of those whose name the `name` filter
/// finds. RabbitMQ has pages of queues, exchanges, virtual hosts, connections and channels.
pub fn pages<I: Item>(request: &Request, mut items: Vec<I>) -> Reply {
    let paging = match Paging::of(request) {
        Ok(Some(paging)) => paging,
        Ok(None) => return Reply::ok(arranged(request, items).collect::<Vec<_>>()),
        Err(reply) => return reply,
    };
    let total = items.len();
    items.retain(|item| paging.keeps(item.name()));
    let filtered = items.len();
    let start = (paging.page - 1).saturating_mul(paging.size);
    if start >= filtered && paging.page > 1 {
        let reason = format!(
            "Page out of range, page: {} page size: {}, len: {filtered}",
            paging.page, paging.size
        );
        return Reply::error(400, "page_out_of_range", reason);
    }
    let page = arranged(request, items).skip(start).take(paging.size);
    let page: Vec<_> = page.collect();
    Reply::ok(json!({
        "filtered_count": filtered,
        "item_count": page.len(),
        "items": page,
        "page": paging.page,
        "page_count": filtered.div_ceil(paging.size),
        "page_size": paging.size,
        "total_count": total,
    }))
}

/// Items in the order and with the columns that are asked for.
fn arranged<I: Item>(request: &Request, items: Vec<I>) -> impl Iterator<Item = Value> {
    let items = sorted(request, items);
    let columns = columns(request);
    items.into_iter().map(move |item| match &columns {
        Some(columns) => chosen(&item.render(), columns),
        None => item.render(),
    })
}

/// Answers with one object, of which columns may be chosen.
pub fn one(request: &Request, item: Value) -> Reply {
    match columns(request) {
        Some(columns) => Reply::ok(chosen(&item, &columns)),
        None => Reply::ok(item),
    }
}

struct Paging {
    page: usize,
    size: usize,
    name: Option<Pattern>,
    part: String,
}

impl Paging {
    fn of(request: &Request) -> Result<Option<Paging>, Reply> {
        let Some(page) = request.query("page") else {
            return Ok(None);
        };
        let invalid = || Reply::bad_request("Pagination parameters are invalid");
        let number = |text: &str| text.parse::<i64>().map_err(|_| invalid());
        let asked = request.query("page_size").map(number).transpose()?;
        let (page, size) = (number(page)?, asked.unwrap_or(PAGE_SIZE_DEFAULT));
        if page < 1 || !(1..=PAGE_SIZE_MAX).contains(&size) {
            let asked = asked.map_or_else(|| "undefined".to_owned(), |size| size.to_string());
            let reason =
                format!("Invalid pagination parameters: page number {page}, page size {asked}");
            return Err(Reply::error(400, "invalid_pagination_parameters", reason));
        }
        let part = request.query("name").unwrap_or("").to_lowercase();
        let name = match request.is_set("use_regex") && !part.is_empty() {
            // names are searched without regard to case
            true => Some(Pattern::policy(&format!("(?i){part}")).map_err(|_| invalid())?),
            false => None,
        };
        Ok(Some(Paging {
            page: usize::try_from(page).map_err(|_| invalid())?,
            size: usize::try_from(size).map_err(|_| invalid())?,
            name,
            part,
        }))
    }

    fn keeps(&self, name: &str) -> bool {
        match &self.name {
            Some(pattern) => pattern.matches(name),
            None => self.part.is_empty() || name.to_lowercase().contains(&self.part),
        }
    }
}

fn sorted<I: Item>(request: &Request, mut items: Vec<I>) -> Vec<I> {
    if let Some(path) = request.query("sort") {
        let path: Vec<_> = path.split('.').collect();
        let keyed = items.into_iter().map(|item| (item.key(&path), item));
        let mut keyed: Vec<_> = keyed.collect();
        keyed.sort_by(|(a, _), (b, _)| order(a, b));
        items = keyed.into_iter().map(|(_, item)| item).collect();
    }
    if request.is_set("sort_reverse") {
        items.reverse();
    }
    items
}

/// The value at a path of an item, null where there is none.
pub fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    let mut value = value;
    for part in path {
        value = value.get(part).unwrap_or(&Value::Null);
    }
    value
}

fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |v: &Value| match v {
        Value::Null => 0,
        Value::Number(_) => 1,
        Value::Bool(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .unwrap_or(0.0)
            .total_cmp(&b.as_f64().unwrap_or(0.0)),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// The columns that the query asks for.
pub fn columns(request: &Request) -> Option<Vec<Vec<String>>> {
    let text = request.query("columns")?;
    let path = |column: &str| column.split('.').map(str::to_owned).collect();
    Some(text.split(',').map(path).collect())
}

fn chosen(item: &Value, columns: &[Vec<String>]) -> Value {
    let mut out = Map::new();
    for path in columns {
        copy(item, path, &mut out);
    }
    Value::Object(out)
}

fn copy(item: &Value, path: &[String], out: &mut Map<String, Value>) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let Some(value) = item.get(first) else {
        return;
    };
    if rest.is_empty() {
        out.insert(first.clone(), value.clone());
        return;
    }
    let inner = out
        .entry(first.clone())
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        copy(value, rest, inner);
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Method;
    use super::*;
    use bytes::Bytes;

    fn ask(query: &str) -> (u16, Value) {
        let items = (0..7)
            .map(|i| json!({"name": format!("q{i}"), "n": 10 - i, "s": {"a": i, "b": 1}}))
            .collect();
        let request = Request::new(Method::Get, &format!("/x?{query}"), Bytes::new());
        let reply = pages(&request.expect("well formed"), items);
        let body = serde_json::from_slice(&reply.body).expect("JSON");
        (reply.status, body)
    }

    #[test]
    fn a_page_says_how_many_there_are() {
        let (_, body) = ask("page=2&page_size=3&columns=name");
        assert_eq!(
            body["items"],
            json!([{"name": "q3"}, {"name": "q4"}, {"name": "q5"}])
        );
        assert_eq!(body["page_count"], 3);
        assert_eq!(body["total_count"], 7);
        let (status, body) = ask("page=9&page_size=3");
        assert_eq!(
            (status, body["error"].as_str()),
            (400, Some("page_out_of_range"))
        );
        assert_eq!(ask("page=x").0, 400);
        let (_, body) = ask("page=-1");
        assert_eq!(body["error"], "invalid_pagination_parameters");
        assert_eq!(
            body["reason"],
            "Invalid pagination parameters: page number -1, page size undefined"
        );
        assert_eq!(ask(&format!("page={}", i64::MAX)).0, 400);
        assert_eq!(ask("page=1&page_size=501").0, 400);
    }

    #[test]
    fn names_are_searched_as_text_or_as_pattern() {
        assert_eq!(ask("page=1&name=Q3").1["filtered_count"], 1);
        assert_eq!(
            ask("page=1&name=q[34]$&use_regex=true").1["filtered_count"],
            2
        );
        assert_eq!(ask("page=1&name=(&use_regex=true").0, 400);
    }

    #[test]
    fn sorting_follows_a_path_and_can_be_reversed() {
        let (_, body) = ask("sort=n&columns=n");
        assert_eq!(body[0]["n"], 4);
        let (_, body) = ask("sort=s.a&sort_reverse=true&columns=s.a");
        assert_eq!(body[0], json!({"s": {"a": 6}}));
    }
}
