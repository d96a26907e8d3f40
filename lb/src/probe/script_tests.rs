use super::super::dialogue::Facts;
use super::*;
use conf::lb::model::{Format, FormatPart};

fn facts() -> Facts {
    Facts {
        backend: "b".into(),
        server: "s1".into(),
        ..Facts::default()
    }
}

fn expect(pattern: ExpectPattern) -> CheckExpect {
    let CheckAction::Expect(rule) = default_expect().action else {
        unreachable!()
    };
    CheckExpect { pattern, ..rule }
}

fn step(action: CheckAction) -> CheckStep {
    CheckStep {
        action,
        comment: None,
        place: Default::default(),
    }
}

fn ping() -> Vec<CheckStep> {
    vec![
        step(CheckAction::Send(CheckPayload::Bytes(b"PING\r\n".to_vec()))),
        step(CheckAction::Expect(expect(ExpectPattern::String(
            b"+PONG".to_vec(),
        )))),
    ]
}

fn text(text: &str) -> Format {
    Format {
        parts: vec![FormatPart::Text(text.into())],
        text: text.into(),
    }
}

/// Runs a script against one answer, which the server then closes or not.
fn run(mut script: Script, answer: &[u8], closed: bool) -> Step {
    script.first_connect();
    let mut step = script.step(Event::Connected);
    while matches!(step, Step::Send(_)) {
        step = script.step(Event::Sent);
    }
    if step == Step::Receive {
        step = script.step(Event::Received(answer, closed));
    }
    step
}

fn done(step: Step) -> (CheckStatus, String) {
    match step {
        Step::Done(finding) => (finding.status, finding.text),
        other => panic!("expected an end, got {other:?}"),
    }
}

#[test]
fn an_expected_answer_passes() {
    let step = run(Script::tcp(&ping(), &facts()), b"+PONG\r\n", false);
    assert_eq!(done(step), (CheckStatus::L7Ok, "(tcp-check)".into()));
}

#[test]
fn a_script_without_steps_only_connects() {
    let step = run(Script::tcp(&[], &facts()), b"", false);
    assert_eq!(done(step), (CheckStatus::L4Ok, String::new()));
}

#[test]
fn another_answer_is_waited_on_until_the_server_closes() {
    assert_eq!(
        run(Script::tcp(&ping(), &facts()), b"-ERR", false),
        Step::Receive
    );
    let step = run(Script::tcp(&ping(), &facts()), b"-ERR", true);
    let text = "TCPCHK did not match content '+PONG' at step 2".to_owned();
    assert_eq!(done(step), (CheckStatus::L7Response, text));
}

#[test]
fn min_recv_makes_a_mismatch_final() {
    let mut steps = ping();
    let CheckAction::Expect(rule) = &mut steps[1].action else {
        unreachable!()
    };
    rule.min_recv = Some(4);
    assert_eq!(
        run(Script::tcp(&steps, &facts()), b"-ER", false),
        Step::Receive
    );
    assert_eq!(
        done(run(Script::tcp(&steps, &facts()), b"-ERR", false)).0,
        CheckStatus::L7Response
    );
}

#[test]
fn an_empty_answer_is_named_with_its_step() {
    let step = run(Script::tcp(&ping(), &facts()), b"", true);
    let text = "TCPCHK got an empty response at step 2".to_owned();
    assert_eq!(done(step), (CheckStatus::L7Response, text));
}

#[test]
fn a_rule_may_name_its_own_statuses_and_texts() {
    let mut steps = ping();
    let CheckAction::Expect(rule) = &mut steps[1].action else {
        unreachable!()
    };
    rule.error_status = Some(conf::lb::model::CheckStatus::L7Sts);
    rule.timeout_status = Some(conf::lb::model::CheckStatus::L6Tout);
    rule.on_error = Some(text("bad-thing"));
    rule.on_success = Some(text("fine-thing"));
    let bad = done(run(Script::tcp(&steps, &facts()), b"x", true));
    assert_eq!(bad, (CheckStatus::L7Status, "bad-thing".into()));
    let good = done(run(Script::tcp(&steps, &facts()), b"+PONG", false));
    assert_eq!(good, (CheckStatus::L7Ok, "fine-thing".into()));
    let mut script = Script::tcp(&steps, &facts());
    script.step(Event::Connected);
    script.step(Event::Sent);
    let silent = script.timed_out();
    assert_eq!(silent.status, CheckStatus::L6Timeout);
    assert_eq!(
        silent.text,
        " at step 2 of tcp-check (expect string '+PONG')"
    );
}

#[test]
fn a_comment_names_the_failed_step() {
    let mut steps = ping();
    steps[1].comment = Some("greeting".into());
    let mut script = Script::tcp(&steps, &facts());
    script.step(Event::Connected);
    script.step(Event::Sent);
    let expected = " at step 2 of tcp-check (expect string '+PONG') comment: 'greeting'";
    assert_eq!(script.position(), expected);
}

#[test]
fn the_connection_before_the_first_rule_has_a_name() {
    let mut script = Script::tcp(&ping(), &facts());
    script.first_connect();
    assert_eq!(
        script.position(),
        " at initial connection step of tcp-check"
    );
    let connect = CheckConnect {
        port: Some(42),
        ..CheckConnect::default()
    };
    let mut script = Script::tcp(&[step(CheckAction::Connect(connect))], &facts());
    script.first_connect();
    assert_eq!(
        script.position(),
        " at step 1 of tcp-check (connect port 42)"
    );
}

fn http(steps: Vec<CheckStep>) -> Script {
    let mut all = vec![step(CheckAction::HttpSend(HttpSend {
        method: "GET".into(),
        uri: text("/x"),
        version: "HTTP/1.1".into(),
        headers: vec![("Host".into(), text("h"))],
        body: None,
        send_state: false,
    }))];
    all.extend(steps);
    Script::http(&all, &facts())
}

#[test]
fn a_request_is_written_as_expected_by_servers() {
    let mut script = http(Vec::new());
    let expected = b"GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_vec();
    assert_eq!(script.step(Event::Connected), Step::Send(expected));
}

#[test]
fn any_status_from_200_to_399_is_good() {
    for (status, good) in [(200, true), (302, true), (404, false), (503, false)] {
        let answer = format!("HTTP/1.1 {status} Why\r\nContent-Length: 3\r\n\r\n");
        let Step::Done(finding) = run(http(Vec::new()), answer.as_bytes(), false) else {
            panic!("no end for {status}")
        };
        let (expected, text) = if good {
            (CheckStatus::L7Ok, "")
        } else {
            (CheckStatus::L7Status, "Why")
        };
        assert_eq!(finding, Finding::new(expected, status, text));
    }
}

#[test]
fn a_404_may_mean_no_new_sessions() {
    let steps = vec![];
    let mut script = http(steps);
    script.scope.facts.disable_on_404 = true;
    let step = run(script, b"HTTP/1.1 404 Not Found\r\n\r\n", false);
    assert_eq!(done(step).0, CheckStatus::L7OkConditional);
}

#[test]
fn a_body_rule_waits_for_the_whole_body() {
    let rule = || {
        vec![step(CheckAction::Expect(expect(ExpectPattern::String(
            b"hello".to_vec(),
        ))))]
    };
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello";
    assert_eq!(run(http(rule()), half, false), Step::Receive);
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";
    assert_eq!(done(run(http(rule()), whole, false)).0, CheckStatus::L7Ok);
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    assert_eq!(done(run(http(rule()), chunked, false)).0, CheckStatus::L7Ok);
    let other = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
    let text = "HTTP content check did not match".to_owned();
    assert_eq!(
        done(run(http(rule()), other, false)),
        (CheckStatus::L7Response, text)
    );
}

#[test]
fn an_answer_that_is_no_http_or_ends_early_is_invalid() {
    for answer in [&b"+PONG\r\n\r\n"[..], b"HTTP/1.1 200 O"] {
        let step = run(http(Vec::new()), answer, true);
        assert_eq!(done(step), (CheckStatus::L7Response, String::new()));
    }
}

#[test]
fn an_answer_of_http_that_is_not_expected_tells_the_texts_of_the_rule() {
    let mut wanted = step(CheckAction::Expect(expect(ExpectPattern::Status(vec![(
        200, 200,
    )]))));
    wanted.comment = Some("want200".into());
    let status = b"HTTP/1.1 404 Not Found\r\n\r\n";
    let said = done(run(http(vec![wanted.clone()]), status, false));
    let text = "Not Found comment: want200".to_owned();
    assert_eq!(said, (CheckStatus::L7Status, text));
    let said = done(run(http(vec![wanted.clone()]), b"+PONG\r\n\r\n", true));
    let text = " comment: want200".to_owned();
    assert_eq!(said, (CheckStatus::L7Response, text));

    let CheckAction::Expect(rule) = &mut wanted.action else {
        unreachable!()
    };
    rule.on_error = Some(self::text("bad-thing"));
    rule.error_status = Some(conf::lb::model::CheckStatus::L7Sts);
    for answer in [&b"+PONG\r\n\r\n"[..], b""] {
        let said = done(run(http(vec![wanted.clone()]), answer, true));
        let text = "bad-thing comment: want200".to_owned();
        assert_eq!(said, (CheckStatus::L7Response, text));
    }
}
