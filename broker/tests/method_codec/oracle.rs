//! Another implementation of the same protocol, `amq-protocol`, reads what this one writes and writes what this one reads.

use super::{payload, spec};
use amq_protocol::frame::{WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::{gen_class, parse_class};
use amq_protocol::types::generation::{SerializeFn, gen_field_table};
use amq_protocol::types::parsing::parse_field_table;
use broker::core::field::{FieldTable, FieldValue};
use broker::core::frame;
use broker::core::method::Method;
use broker::core::properties::Properties;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Arguments that 0-9-1 reserves: the other implementation drops them, so the samples have them empty.
const RESERVED: [&str; 8] = [
    "ticket",
    "prefetch-size",
    "cluster-id",
    "capabilities",
    "insist",
    "known-hosts",
    "out-of-band",
    "channel-id",
];

fn written(what: impl SerializeFn<Vec<u8>>) -> Vec<u8> {
    let context = what(WriteContext::from(Vec::new())).expect("a vector takes everything");
    context.into_inner().0
}

/// Any value of a field; names are unique and sorted, as the other implementation keeps them.
fn value() -> impl Strategy<Value = FieldValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<f32>().prop_map(FieldValue::F32),
        any::<f64>().prop_map(FieldValue::F64),
        any::<u64>().prop_map(FieldValue::Timestamp),
        (any::<u8>(), 0..i32::MAX).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(FieldValue::LongString),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(FieldValue::Bytes),
        Just(FieldValue::Void),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(FieldValue::Array),
            fields(inner).prop_map(FieldValue::Table),
        ]
    })
}

fn fields(value: impl Strategy<Value = FieldValue> + 'static) -> BoxedStrategy<FieldTable> {
    let sorted = |map: BTreeMap<String, FieldValue>| FieldTable(map.into_iter().collect());
    prop::collection::btree_map("[ -~]{0,20}", value, 0..6)
        .prop_map(sorted)
        .boxed()
}

proptest! {
    #[test]
    fn methods_are_the_same_to_the_other_implementation(seeds in prop::collection::vec(any::<u8>(), 64)) {
        let mut at = 0;
        let mut seed = || { at += 1; seeds[at % seeds.len()] ^ (at / seeds.len()) as u8 };
        for class in &spec().classes {
            // the other implementation writes ticket 1 whatever it has read
            for method in class.methods.iter().filter(|m| (class.id, m.id) != (30, 11)) {
                let bytes = payload(class, method, &RESERVED, &mut seed);
                let name = format!("{}.{}", class.name, method.name);
                let (rest, theirs) = parse_class(&bytes[..])
                    .map_err(|e| TestCaseError::fail(format!("{name}: {e:?}")))?;
                prop_assert!(rest.is_empty(), "{} leaves {} bytes", name, rest.len());
                let again = written(gen_class(&theirs));
                prop_assert_eq!(&again, &bytes, "{}", name);
                let ours = Method::decode(&again).map_err(|e| TestCaseError::fail(format!("{name}: {e:?}")))?;
                let mut encoded = Vec::new();
                ours.encode(&mut encoded);
                prop_assert_eq!(encoded, bytes, "{}", name);
            }
        }
    }

    #[test]
    fn tables_are_the_same_to_the_other_implementation(table in fields(value())) {
        let bytes = table.to_bytes();
        let (rest, theirs) = parse_field_table(&bytes[..]).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert!(rest.is_empty());
        let again = written(gen_field_table(&theirs));
        prop_assert_eq!(&again, &bytes);
        let ours = FieldTable::decode(&mut &again[..]).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert_eq!(ours.to_bytes(), bytes);
    }

    #[test]
    fn content_headers_are_the_same_to_the_other_implementation(
        headers in fields(value()), there: u16, size: u64, text in "[ -~]{0,30}", number: u8, time: u64, channel in 1u16..,
    ) {
        let headers = headers.to_bytes();
        let has = |bit: u16| there >> bit & 1 == 1;
        let short = |bit: u16| has(bit).then_some(text.as_bytes());
        let properties = Properties {
            content_type: short(0),
            content_encoding: short(1),
            headers: has(2).then_some(&headers[4..]),
            delivery_mode: has(3).then_some(number),
            priority: has(4).then_some(number),
            correlation_id: short(5),
            reply_to: short(6),
            expiration: short(7),
            message_id: short(8),
            timestamp: has(9).then_some(time),
            kind: short(10),
            user_id: short(11),
            app_id: short(12),
            cluster_id: short(13),
        };
        let mut bytes = Vec::new();
        frame::write(&mut bytes, frame::HEADER, channel, |out| out.extend(properties.encode(size)));
        let (rest, theirs) = parse_frame(&bytes[..]).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert!(rest.is_empty());
        prop_assert_eq!(written(gen_frame(&theirs)), bytes);
    }
}
