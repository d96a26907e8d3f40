use super::*;
use conf::lb::model::{
    AclTest, ArithmeticOp, Converter, IntRange, LvStart, Matcher, Operand, PayloadLv, Place, Term,
    TextMatch,
};
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Default)]
struct Fixed {
    request: Vec<u8>,
    complete: bool,
    variables: HashMap<String, Sample>,
}

impl World for Fixed {
    fn request(&self) -> Window<'_> {
        Window {
            bytes: &self.request,
            complete: self.complete,
        }
    }
    fn response(&self) -> Window<'_> {
        Window::default()
    }
    fn fetch(&mut self, _: &Fetch) -> Found {
        Found::missing()
    }
    fn variable(&self, name: &str) -> Option<Sample> {
        self.variables.get(name).cloned()
    }
    fn set_variable(&mut self, name: &str, value: Option<Sample>) {
        match value {
            Some(value) => self.variables.insert(name.to_owned(), value),
            None => self.variables.remove(name),
        };
    }
}

fn expr(fetch: Fetch, converters: Vec<Converter>) -> Expr {
    Expr {
        fetch,
        converters,
        text: String::new(),
    }
}

fn value(fetch: Fetch, converters: Vec<Converter>) -> Option<Sample> {
    evaluate(&expr(fetch, converters), &mut Fixed::default()).value
}

fn text(fetch: &str, converters: Vec<Converter>) -> String {
    let value = value(Fetch::Str(fetch.to_owned()), converters);
    String::from_utf8(value.map(|v| v.to_text()).unwrap_or_default()).expect("text")
}

#[test]
fn converters_follow_each_other() {
    let add = Converter::Arithmetic(ArithmeticOp::Add, Operand::Int(2));
    let mul = Converter::Arithmetic(ArithmeticOp::Mul, Operand::Int(3));
    assert_eq!(value(Fetch::Int(5), vec![add, mul]), Some(Sample::Int(21)));
    let field = |index, count| Converter::Field(index, ",".to_owned(), count);
    assert_eq!(text("f1,f2,,f4", vec![field(2, 1)]), "f2");
    assert_eq!(text("f1,f2,,f4", vec![field(2, 0)]), "f2,,f4");
    assert_eq!(text("f1,f2,,f4", vec![field(-2, 0)]), "f1,f2,");
    assert_eq!(text("f1,f2,,f4", vec![field(-2, 3)]), "f1,f2,");
    let word = |index, count| Converter::Word(index, ",".to_owned(), count);
    assert_eq!(text("w1,w2,,w4", vec![word(3, 1)]), "w4");
    assert_eq!(text("a b", vec![Converter::UrlEncode]), "a%20b");
    assert_eq!(text("ab", vec![Converter::Hex]), "6162");
}

#[test]
fn a_substitution_knows_groups_and_takes_dollars_as_they_are() {
    let regsub = |all| Converter::Regsub {
        regex: conf::lb::model::Regex::new("(b+)", false).expect("valid"),
        with: r"[\1$]".to_owned(),
        all,
    };
    assert_eq!(text("abba-b", vec![regsub(false)]), "a[bb$]a-b");
    assert_eq!(text("abba-b", vec![regsub(true)]), "a[bb$]a-[b$]");
}

#[test]
fn a_condition_is_open_until_enough_bytes_are_there() {
    let acl = Acl {
        name: "amqp".to_owned(),
        tests: vec![AclTest {
            expr: expr(Fetch::ReqPayload(0, 4), vec![]),
            matcher: Matcher::Bin(vec![b"AMQP".to_vec()]),
        }],
        place: Place::default(),
    };
    let condition = |unless, negated| Condition {
        unless,
        any: vec![vec![Term { negated, acl: 0 }]],
    };
    let mut world = Fixed {
        request: b"AM".to_vec(),
        ..Fixed::default()
    };
    let acls = [acl];
    let truth =
        |world: &mut Fixed, unless, negated| holds(Some(&condition(unless, negated)), &acls, world);
    assert_eq!(truth(&mut world, false, false), Truth::Open);
    assert_eq!(truth(&mut world, true, false), Truth::Open);
    world.complete = true;
    assert_eq!(truth(&mut world, false, false), Truth::No);
    assert_eq!(truth(&mut world, false, true), Truth::Yes);
    world.request = b"AMQP\0\0\x09\x01".to_vec();
    world.complete = false;
    assert_eq!(truth(&mut world, false, false), Truth::Yes);
    assert_eq!(truth(&mut world, true, false), Truth::No);
}

#[test]
fn a_length_field_gives_the_bytes_behind_it() {
    let mut world = Fixed {
        request: b"\x00\x03abcdef".to_vec(),
        ..Fixed::default()
    };
    let lv = |start| {
        Fetch::ReqPayloadLv(PayloadLv {
            length_at: 0,
            length_size: 2,
            start,
        })
    };
    let found = evaluate(&expr(lv(LvStart::Behind(0)), vec![]), &mut world);
    assert_eq!(found.value, Some(Sample::Bytes(b"abc".to_vec())));
    let found = evaluate(&expr(lv(LvStart::At(4)), vec![]), &mut world);
    assert_eq!(found.value, Some(Sample::Bytes(b"cde".to_vec())));
}

/// A hello with the server name `mq.example`, ALPN `amqp` and supported groups.
fn client_hello() -> Vec<u8> {
    let sized = |size: usize, body: &[u8]| {
        let length = (body.len() as u32).to_be_bytes();
        [&length[4 - size..], body].concat()
    };
    let extension =
        |number: u16, body: &[u8]| [number.to_be_bytes().to_vec(), sized(2, body)].concat();
    let names = sized(2, &[vec![0], sized(2, b"mq.example")].concat());
    let extensions = [
        extension(10, &[0, 2, 0, 29]),
        extension(0, &names),
        extension(16, &sized(2, &sized(1, b"amqp"))),
    ]
    .concat();
    let body = [
        vec![3, 3],
        vec![7; 32],
        sized(1, &[]),
        sized(2, &[0x13, 0x01]),
        sized(1, &[0]),
        sized(2, &extensions),
    ]
    .concat();
    let handshake = [vec![1], sized(3, &body)].concat();
    [vec![0x16, 3, 1], sized(2, &handshake)].concat()
}

#[test]
fn a_tls_hello_tells_its_names_once_it_is_whole() {
    let whole = client_hello();
    let mut world = Fixed::default();
    for cut in 0..whole.len() {
        world.request = whole[..cut].to_vec();
        let found = evaluate(&expr(Fetch::ReqSslSni, vec![]), &mut world);
        assert_eq!(found, Found::later(), "cut at {cut}");
    }
    world.request = whole;
    let mut get = |fetch| evaluate(&expr(fetch, vec![]), &mut world).value;
    assert_eq!(get(Fetch::ReqSslSni), Some(Sample::text("mq.example")));
    assert_eq!(get(Fetch::ReqSslAlpn), Some(Sample::text("amqp")));
    assert_eq!(get(Fetch::ReqSslHelloType), Some(Sample::Int(1)));
    assert_eq!(get(Fetch::ReqSslVer), Some(Sample::Int(0x30003)));
    assert_eq!(get(Fetch::ReqSslEcExt), Some(Sample::Bool(true)));
    assert_eq!(get(Fetch::ReqSslStExt), Some(Sample::Int(0)));
    world.request = b"AMQP\0\0\x09\x01".to_vec();
    let found = evaluate(&expr(Fetch::ReqSslSni, vec![]), &mut world);
    assert_eq!(found, Found::missing());
}

#[test]
fn matches_by_text_number_and_length() {
    let text = |how, ignore_case, pattern: &str| Matcher::Text {
        how,
        ignore_case,
        patterns: vec![pattern.to_owned()],
    };
    let host = Sample::text("Mq1.Example.net");
    let yes = |matcher: Matcher| super::matching::matches(&matcher, &host);
    assert!(yes(text(TextMatch::End, true, ".example.NET")));
    assert!(!yes(text(TextMatch::End, false, ".example.NET")));
    assert!(yes(text(TextMatch::Dom, true, "example")));
    assert!(!yes(text(TextMatch::Dom, true, "xample")));
    assert!(yes(Matcher::Len(vec![IntRange { min: 15, max: 15 }])));
    assert!(!yes(Matcher::Int(vec![IntRange { min: 0, max: 99 }])));
}

proptest! {
    #[test]
    fn any_contents_are_looked_at_without_panic(
        tail in prop::collection::vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
        kind in 0..4,
        complete: bool,
    ) {
        let mut request = match kind {
            0 => Vec::new(),
            1 => vec![0x16, 3, 1],
            2 => b"\x03\0\0\x20\x1b\xe0\0\0\0\0\0Cookie: ".to_vec(),
            _ => {
                let hello = client_hello();
                hello[..cut.index(hello.len())].to_vec()
            }
        };
        request.extend(tail);
        let mut world = Fixed { request, complete, ..Fixed::default() };
        let lv = PayloadLv { length_at: 3, length_size: 4, start: LvStart::Behind(-2) };
        for fetch in [
            Fetch::ReqSslSni, Fetch::ReqSslAlpn, Fetch::ReqSslVer, Fetch::ReqSslEcExt,
            Fetch::ReqSslHelloType, Fetch::ReqRdpCookie(None), Fetch::ReqPayload(2, 0),
            Fetch::ReqPayloadLv(lv), Fetch::ReqLen,
        ] {
            let found = evaluate(&expr(fetch, vec![Converter::Be2hex(":".to_owned(), 3, true)]), &mut world);
            prop_assert!(!(complete && found.open));
        }
    }
}

#[test]
fn an_rdp_cookie_names_a_server_by_its_address_and_port() {
    // 10.1.2.217:3389 as Windows writes it
    assert_eq!(
        content::rdp_server(b"3640787210.15629.0000"),
        Some("10.1.2.217:3389".parse().expect("an address"))
    );
    for other in ["", "3640787210", "1.2", "x.15629.0000", "4294967296.1.0"] {
        assert_eq!(content::rdp_server(other.as_bytes()), None, "{other}");
    }
}
