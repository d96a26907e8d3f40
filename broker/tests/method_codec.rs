//! Generates `src/core/method.rs` from the protocol's data file and holds the codec against the data.
//!
//! `EVENKEEL_BLESS=1 cargo test -p evenkeel-broker --test method_codec` writes the file again.

#[path = "method_codec/oracle.rs"]
mod oracle;

use broker::core::method::Method;
use proptest::prelude::*;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const DATA: &str = include_str!("../data/amqp-rabbitmq-0.9.1.json");

struct Spec {
    classes: Vec<Class>,
}

struct Class {
    id: u16,
    name: String,
    methods: Vec<MethodSpec>,
}

struct MethodSpec {
    id: u16,
    name: String,
    arguments: Vec<(String, String)>,
}

fn text(value: &Value, key: &str) -> String {
    value[key]
        .as_str()
        .expect("the data file has this text")
        .to_owned()
}

fn spec() -> Spec {
    let data: Value = serde_json::from_str(DATA).expect("the data file is JSON");
    let domain = |name: &str| {
        let pair = data["domains"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|d| d[0] == name);
        pair.expect("a known domain")[1]
            .as_str()
            .expect("a type")
            .to_owned()
    };
    let argument = |a: &Value| {
        let kind = a["type"].as_str().map(str::to_owned);
        (
            text(a, "name"),
            kind.unwrap_or_else(|| domain(a["domain"].as_str().expect("a type or a domain"))),
        )
    };
    let method = |m: &Value| MethodSpec {
        id: m["id"].as_u64().expect("a number") as u16,
        name: text(m, "name"),
        arguments: m["arguments"]
            .as_array()
            .expect("a list")
            .iter()
            .map(argument)
            .collect(),
    };
    let class = |c: &Value| Class {
        id: c["id"].as_u64().expect("a number") as u16,
        name: text(c, "name"),
        methods: c["methods"]
            .as_array()
            .expect("a list")
            .iter()
            .map(method)
            .collect(),
    };
    Spec {
        classes: data["classes"]
            .as_array()
            .expect("a list")
            .iter()
            .map(class)
            .collect(),
    }
}

fn camel(words: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    words.split('-').map(capital).collect()
}

fn field(name: &str) -> String {
    match name {
        "type" => "kind".to_owned(),
        name => name.replace('-', "_"),
    }
}

fn rust_type(kind: &str) -> &'static str {
    match kind {
        "octet" => "u8",
        "short" => "u16",
        "long" => "u32",
        "longlong" | "timestamp" => "u64",
        "bit" => "bool",
        "shortstr" => "&'a str",
        "longstr" => "&'a [u8]",
        "table" => "FieldTable",
        other => panic!("no Rust type for {other}"),
    }
}

impl MethodSpec {
    fn variant(&self, class: &Class) -> String {
        camel(&class.name) + &camel(&self.name)
    }

    fn fields(&self) -> String {
        self.arguments
            .iter()
            .map(|(name, _)| field(name))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn declaration(&self, class: &Class, out: &mut String) {
        let variant = self.variant(class);
        let _ = writeln!(out, "/// `{}.{}`", class.name, self.name);
        if self.arguments.is_empty() {
            let _ = writeln!(out, "{variant},");
            return;
        }
        let _ = writeln!(out, "{variant} {{");
        for (name, kind) in &self.arguments {
            let _ = writeln!(out, "{}: {},", field(name), rust_type(kind));
        }
        out.push_str("},\n");
    }

    fn decoder(&self, class: &Class, out: &mut String) {
        let variant = self.variant(class);
        let _ = write!(out, "({}, {}) => ", class.id, self.id);
        if self.arguments.is_empty() {
            let _ = writeln!(out, "Method::{variant},");
            return;
        }
        out.push_str("{\n");
        let mut bit = 0;
        for (name, kind) in &self.arguments {
            if kind == "bit" {
                if bit % 8 == 0 {
                    out.push_str("let bits = input.octet()?;\n");
                }
                let _ = writeln!(out, "let {} = bits & {} != 0;", field(name), 1 << (bit % 8));
                bit += 1;
            } else {
                bit = 0;
                let _ = writeln!(out, "let {} = input.{kind}()?;", field(name));
            }
        }
        let _ = writeln!(out, "Method::{variant} {{ {} }} }}", self.fields());
    }

    fn encoder(&self, class: &Class, out: &mut String) {
        let variant = self.variant(class);
        if self.arguments.is_empty() {
            let _ = writeln!(out, "Method::{variant} => {{}}");
            return;
        }
        let _ = writeln!(out, "Method::{variant} {{ {} }} => {{", self.fields());
        let mut bits: Vec<String> = Vec::new();
        for (name, kind) in &self.arguments {
            if kind == "bit" {
                bits.push(field(name));
                continue;
            }
            flush_bits(&mut bits, out);
            let by = if matches!(kind.as_str(), "shortstr" | "longstr" | "table") {
                ""
            } else {
                "*"
            };
            let _ = writeln!(out, "wire::{kind}(out, {by}{});", field(name));
        }
        flush_bits(&mut bits, out);
        out.push_str("}\n");
    }
}

fn flush_bits(bits: &mut Vec<String>, out: &mut String) {
    if !bits.is_empty() {
        let _ = writeln!(
            out,
            "wire::bits(out, &[{}]);",
            bits.iter()
                .map(|b| format!("*{b}"))
                .collect::<Vec<_>>()
                .join(", ")
        );
        bits.clear();
    }
}

fn generate(spec: &Spec) -> String {
    let each = |line: &dyn Fn(&Class, &MethodSpec, &mut String)| {
        let mut out = String::new();
        for class in &spec.classes {
            for method in &class.methods {
                line(class, method, &mut out);
            }
        }
        out
    };
    format!(
        "//! AMQP's methods: generated from `data/amqp-rabbitmq-0.9.1.json` by `tests/method_codec.rs`; do not edit.\n\
         //!\n\
         //! The data is Copyright (c) Broadcom and its affiliates, under the MIT licence (notice in the data file).\n\n\
         use super::field::FieldTable;\n\
         use super::wire::{{self, Reader, WireError}};\n\n\
         /// A method with its arguments, borrowing strings from the frame.\n\
         #[derive(Debug, Clone, PartialEq)]\n\
         pub enum Method<'a> {{\n{}}}\n\n\
         impl<'a> Method<'a> {{\n\
         /// Decodes a method frame's payload.\n\
         pub fn decode(payload: &'a [u8]) -> Result<Method<'a>, WireError> {{\n\
         let mut input = Reader::new(payload);\n\
         let id = (input.short()?, input.short()?);\n\
         let method = match id {{\n{}(class, method) => return Err(WireError::UnknownMethod {{ class, method }}),\n}};\n\
         if input.rest().is_empty() {{ Ok(method) }} else {{ Err(WireError::Long) }}\n}}\n\n\
         /// Appends class, method and arguments: a method frame's payload.\n\
         pub fn encode(&self, out: &mut Vec<u8>) {{\n\
         let (class, method) = self.id();\n\
         wire::short(out, class);\n\
         wire::short(out, method);\n\
         match self {{\n{}}}\n}}\n\n\
         /// Class and method number.\n\
         pub fn id(&self) -> (u16, u16) {{\nmatch self {{\n{}}}\n}}\n\n\
         /// The name as documents print it, `queue.declare`.\n\
         pub fn name(&self) -> &'static str {{\nmatch self {{\n{}}}\n}}\n}}\n",
        each(&|c, m, out| m.declaration(c, out)),
        each(&|c, m, out| m.decoder(c, out)),
        each(&|c, m, out| m.encoder(c, out)),
        each(&|c, m, out| {
            let rest = if m.arguments.is_empty() {
                ""
            } else {
                " { .. }"
            };
            let _ = writeln!(
                out,
                "Method::{}{rest} => ({}, {}),",
                m.variant(c),
                c.id,
                m.id
            );
        }),
        each(&|c, m, out| {
            let rest = if m.arguments.is_empty() {
                ""
            } else {
                " { .. }"
            };
            let _ = writeln!(
                out,
                "Method::{}{rest} => \"{}.{}\",",
                m.variant(c),
                c.name,
                m.name
            );
        }),
    )
}

fn rustfmt(source: &str) -> String {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), source.as_bytes())
        .expect("rustfmt reads");
    let output = child.wait_with_output().expect("rustfmt ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("rustfmt writes text")
}

/// The source without what a formatter may change.
fn bare(source: &str) -> String {
    source
        .chars()
        .filter(|c| !c.is_whitespace() && !",{}".contains(*c))
        .collect()
}

#[test]
fn the_generated_methods_are_those_of_the_data_file() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/core/method.rs");
    let generated = generate(&spec());
    if std::env::var_os("EVENKEEL_BLESS").is_some() {
        std::fs::write(&path, rustfmt(&generated)).expect("the source directory is writable");
        return;
    }
    let found = std::fs::read_to_string(&path).expect("the generated file exists");
    assert!(
        bare(&found) == bare(&generated),
        "src/core/method.rs is not what this test generates"
    );
}

/// Well-formed arguments for one method, from a seed.
fn payload(
    class: &Class,
    method: &MethodSpec,
    empty: &[&str],
    seed: &mut impl FnMut() -> u8,
) -> Vec<u8> {
    let mut out = [class.id.to_be_bytes(), method.id.to_be_bytes()].concat();
    let mut bits = 0;
    for (index, (name, kind)) in method.arguments.iter().enumerate() {
        let keep = if empty.contains(&name.as_str()) {
            0
        } else {
            0xff
        };
        let seed = &mut || seed() & keep;
        if kind == "bit" {
            bits += 1;
            let last = method
                .arguments
                .get(index + 1)
                .is_none_or(|(_, next)| next != "bit");
            if last || bits == 8 {
                let mask = (1u16 << bits) - 1;
                out.push(seed() & mask as u8);
                bits = 0;
            }
            continue;
        }
        match kind.as_str() {
            "octet" => out.push(seed()),
            "short" => out.extend([seed(), seed()]),
            "long" => out.extend([(); 4].map(|()| seed())),
            "longlong" | "timestamp" => out.extend([(); 8].map(|()| seed())),
            "shortstr" => {
                let length = seed() % 60;
                out.push(length);
                out.extend((0..length).map(|_| seed() % 128));
            }
            "longstr" => {
                let length = seed();
                out.extend([0, 0, 0, length]);
                out.extend((0..length).map(|_| seed()));
            }
            "table" => out.extend(b"\x00\x00\x00\x0f\x01aI\x00\x00\x00\x05\x02bcF\x00\x00\x00\x00"),
            other => panic!("no sample for {other}"),
        }
    }
    out
}

proptest! {
    #[test]
    fn every_method_encodes_to_the_bytes_that_it_was_decoded_from(seeds in proptest::collection::vec(any::<u8>(), 64)) {
        let mut at = 0;
        let mut seed = || { at += 1; seeds[at % seeds.len()] ^ (at / seeds.len()) as u8 };
        for class in &spec().classes {
            for method in &class.methods {
                let bytes = payload(class, method, &[], &mut seed);
                let decoded = Method::decode(&bytes).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
                prop_assert_eq!(decoded.name(), format!("{}.{}", class.name, method.name));
                let mut again = Vec::new();
                decoded.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(class in 0u16..100, method in 0u16..130, rest in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = [class.to_be_bytes(), method.to_be_bytes()].concat();
        bytes.extend(rest);
        let _ = Method::decode(&bytes);
    }
}
