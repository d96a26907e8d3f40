//! The forms against lines that HAProxy 2.6.12 printed for the same situation.

use super::*;
use crate::stats::row::{Back, Backend, Check, Colour, Front, Kind, Level, Rate, Server, Traffic};

fn frontend() -> Row {
    let mut row = Row::new(Kind::Frontend, "rabbit", "FRONTEND");
    row.proxy_id = 2;
    row.status = "OPEN".into();
    row.traffic = Traffic {
        sessions: Level {
            cur: 1,
            max: 1,
            limit: Some(2000),
        },
        sessions_total: 1,
        ..Traffic::default()
    };
    let rate = Rate {
        cur: 1,
        max: 1,
        limit: 0,
    };
    row.front = Some(Front {
        session_rate: rate,
        connection_rate: rate,
        connections_total: 1,
        ..Front::default()
    });
    row
}

fn server() -> Row {
    let mut row = Row::new(Kind::Server, "rabbit", "n2");
    row.proxy_id = 2;
    row.id = 2;
    row.status = "DOWN".into();
    row.traffic.sessions.limit = Some(10);
    row.back = Some(Back {
        weight: 2,
        user_weight: 2,
        active: 1,
        times_down: Some(1),
        last_change_s: 2,
        downtime_s: Some(2),
        last_session_s: -1,
        ..Back::default()
    });
    row.server = Some(Server {
        address: "127.0.0.1:6002".into(),
        colour: Colour::Down,
        failed_checks: Some(1),
        queue_limit: Some(5),
        needed_connections: 1,
        check: Some(Check {
            status: "L4CON".into(),
            description: "Layer4 connection problem".into(),
            duration_ms: Some(0),
            output: "Connection refused".into(),
            rise: 2,
            fall: 3,
            ..Check::default()
        }),
        ..Server::default()
    });
    row
}

fn backend() -> Row {
    let mut row = Row::new(Kind::Backend, "rabbit", "BACKEND");
    row.proxy_id = 2;
    row.status = "UP".into();
    row.traffic = Traffic {
        sessions: Level {
            cur: 1,
            max: 1,
            limit: Some(200),
        },
        sessions_total: 1,
        ..Traffic::default()
    };
    row.back = Some(Back {
        weight: 2,
        user_weight: 2,
        active: 2,
        backup: 1,
        times_down: Some(0),
        last_change_s: 3,
        downtime_s: Some(0),
        chosen_total: 1,
        connections_opened: 1,
        session_rate: Rate {
            cur: 1,
            max: 1,
            limit: 0,
        },
        ..Back::default()
    });
    row.backend = Some(Backend {
        algorithm: "roundrobin".into(),
        ..Backend::default()
    });
    row
}

fn csv(row: &Row) -> String {
    let mut out = String::new();
    csv_row(row, false, &mut out);
    out
}

#[test]
fn a_frontend_row_is_that_of_haproxy() {
    assert_eq!(
        csv(&frontend()),
        "rabbit,FRONTEND,,,1,1,2000,1,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,2,0,,,,0,1,0,1,,,,,,,,,,,0,0,0,,,\
         0,0,0,0,,,,,,,,,,,,,,,,,,,,,tcp,,1,1,1,,0,0,0,,,,,,,,,,,0,,,,,,,,,-,0,0,0,0,0,0,0,0,0,0,0,\
         0,0,0,0,0,0,0,0,0,0,0,0,0,\n"
    );
}

#[test]
fn a_server_row_is_that_of_haproxy() {
    assert_eq!(
        csv(&server()),
        "rabbit,n2,0,0,0,0,10,0,0,0,,0,,0,0,0,0,DOWN,2,1,0,1,1,2,2,5,1,2,2,,0,,2,0,,0,L4CON,,0,,,,,\
         ,,,,,,0,0,,,,,-1,Connection refused,,0,0,0,0,,,,Layer4 connection problem,,2,3,0,,,,\
         127.0.0.1:6002,,tcp,,,,,,,,0,0,0,,,0,,0,0,0,0,0,0,0,0,1,2,,,,-,0,0,0,,,,,,,,,,,,,,,,,,,,,,\n"
    );
}

#[test]
fn a_backend_row_is_that_of_haproxy() {
    assert_eq!(
        csv(&backend()),
        "rabbit,BACKEND,0,0,1,1,200,1,0,0,0,0,,0,0,0,0,UP,2,2,1,,0,3,0,,1,2,0,,1,,1,1,,1,,,,,,,,,,,\
         ,,,0,0,0,0,0,0,0,,,0,0,0,0,,,,,,,,,,,,,,tcp,roundrobin,,,,,,,0,1,0,,,,,0,0,0,0,0,,,,,2,0,0,\
         0,-,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,\n"
    );
}

#[test]
fn the_header_names_each_column_and_ends_with_a_comma() {
    let mut header = String::new();
    csv_header(&mut header);
    assert!(header.starts_with("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,"));
    assert!(header.ends_with(",h1_spliced_bytes_in,h1_spliced_bytes_out,\n"));
    assert!(header.contains(",agg_check_status,-,ssl_sess,"));
    assert_eq!(header.matches(',').count(), 128);
    assert_eq!(csv(&server()).matches(',').count(), 128);
}

#[test]
fn text_with_commas_and_quotes_is_quoted_in_csv() {
    let mut row = server();
    row.server.as_mut().unwrap().check.as_mut().unwrap().output = "said \"no\", then left".into();
    assert!(csv(&row).contains(",\"said \"\"no\"\", then left\","));
}

#[test]
fn typed_lines_carry_kind_position_tags_and_type() {
    let mut out = String::new();
    typed_row(&server(), false, &mut out);
    assert!(out.contains("S.2.2.6.slim.1:CLP:u32:10\n"));
    assert!(out.contains("S.2.2.55.lastsess.1:MAP:s32:-1\n"));
    assert!(out.contains("S.2.2.19.act.1:SGP:u32:1\n"));
    let mut out = String::new();
    typed_row(&backend(), false, &mut out);
    assert!(out.contains("B.2.0.19.act.1:MGP:u32:2\n"));
    assert!(out.contains("B.2.0.33.rate.1:MGP:u32:1\n"));
}

#[test]
fn json_rows_and_the_schema_are_json() {
    let mut out = String::new();
    json_row(&server(), true, &mut out);
    let parsed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(parsed[0]["objType"], "Server");
    assert_eq!(parsed[0]["value"]["value"], "rabbit");
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    assert_eq!(schema["oneOf"].as_array().unwrap().len(), 3);
}
