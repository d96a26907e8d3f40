//! Which part of the history a query asks for: `KIND_age` seconds, a point every `KIND_incr` seconds.

use super::reply::Reply;
use super::request::{Method, Request};
use super::sampler::Range;

/// Steps that RabbitMQ gives at most.
const STEPS_MAX: i64 = 500;

fn seconds(request: &Request, kind: &str, part: &str) -> Option<i64> {
    request.query(&format!("{kind}_{part}"))?.parse().ok()
}

/// The part of the history that the query asks for.
pub fn range(request: &Request) -> Option<Range> {
    let seconds = |part| {
        let asked = ["msg_rates", "lengths"].map(|kind| seconds(request, kind, part));
        asked.into_iter().flatten().next()
    };
    let age_s = u64::try_from(seconds("age")?).ok()?;
    let step_s = seconds("incr").and_then(|step| u64::try_from(step).ok());
    Some(Range {
        age_s: age_s.min(86_400),
        step_s: step_s.unwrap_or(5).max(1),
    })
}

/// Refuses a part of the history that no chart shows, where there are charts.
pub fn check(request: &Request, path: &[&str]) -> Result<(), Reply> {
    let error = match path {
        ["queues" | "exchanges"] | ["queues" | "exchanges", _] | ["vhosts"] => {
            "invalid_range_parameters"
        }
        ["overview" | "nodes" | "connections" | "channels"]
        | ["nodes" | "vhosts" | "connections" | "channels", _]
        | ["queues" | "exchanges", _, _]
        | ["vhosts", _, "connections" | "channels"]
        | ["connections", _, "channels"] => "bad_request",
        _ => return Ok(()),
    };
    if request.method != Method::Get {
        return Ok(());
    }
    for kind in ["lengths", "msg_rates", "data_rates", "node_stats"] {
        let part = seconds(request, kind, "age").zip(seconds(request, kind, "incr"));
        let Some((age, step)) = part else { continue };
        if age < 1 || step < 1 || age / step > STEPS_MAX {
            let text = format!("Invalid range parameters: age {age}, incr {step}");
            return Err(Reply::error(400, error, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn request(method: Method, query: &str) -> Request {
        let target = format!("/api/queues?{query}");
        Request::new(method, &target, Bytes::new()).expect("well formed")
    }

    fn status(query: &str) -> u16 {
        let checked = check(&request(Method::Get, query), &["queues"]);
        checked.map_or_else(|reply| reply.status, |()| 200)
    }

    #[test]
    fn parts_that_no_chart_shows_are_refused() {
        for query in [
            "msg_rates_age=60&msg_rates_incr=0",
            "msg_rates_age=-60&msg_rates_incr=5",
            "lengths_age=0&lengths_incr=5",
            "data_rates_age=501&data_rates_incr=1",
            "node_stats_age=1002&node_stats_incr=2",
            "lengths_age=60&lengths_incr=5&msg_rates_age=60&msg_rates_incr=-1",
        ] {
            assert_eq!(status(query), 400, "{query}");
        }
    }

    #[test]
    fn parts_that_are_charts_or_no_numbers_are_taken() {
        for query in [
            "",
            "msg_rates_age=500&msg_rates_incr=1",
            "msg_rates_age=3&msg_rates_incr=5",
            "msg_rates_age=0",
            "lengths_age=x&lengths_incr=0",
            "lengths_age=60.5&lengths_incr=0",
        ] {
            assert_eq!(status(query), 200, "{query}");
        }
    }

    #[test]
    fn only_what_has_charts_refuses() {
        let query = "lengths_age=60&lengths_incr=0";
        let get = request(Method::Get, query);
        assert!(check(&get, &["users"]).is_ok());
        assert!(check(&get, &["queues", "/", "q", "bindings"]).is_ok());
        assert!(check(&get, &["queues", "/", "q"]).is_err());
        let delete = request(Method::Delete, query);
        assert!(check(&delete, &["queues", "/", "q"]).is_ok());
    }

    #[test]
    fn a_range_is_of_the_rates_or_else_of_the_lengths() {
        let of = |query| range(&request(Method::Get, query)).map(|r| (r.age_s, r.step_s));
        let both = "lengths_age=60&lengths_incr=6&msg_rates_age=30&msg_rates_incr=3";
        assert_eq!(of(both), Some((30, 3)));
        assert_eq!(of("lengths_age=60"), Some((60, 5)));
        assert_eq!(of("msg_rates_age=-1"), None);
        assert_eq!(of("msg_rates_incr=5"), None);
    }
}
