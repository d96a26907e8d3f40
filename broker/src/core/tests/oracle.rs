//! Random use of one queue, held against a naive model of it: lists that are searched from the front.

use super::kit::{Bench, Client, bodies, queue_declare};
use crate::core::field::FieldTable;
use crate::core::method::Method;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Publish,
    Get { no_ack: bool },
    Consume { prefetch: u8 },
    Cancel,
    Ack { which: u8, multiple: bool },
    Requeue { which: u8, multiple: bool },
    Reject { which: u8 },
    Recover,
    Purge,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Publish),
        3 => any::<bool>().prop_map(|no_ack| Step::Get { no_ack }),
        2 => (0u8..4).prop_map(|prefetch| Step::Consume { prefetch }),
        1 => Just(Step::Cancel),
        4 => any::<(u8, bool)>().prop_map(|(which, multiple)| Step::Ack { which, multiple }),
        3 => any::<(u8, bool)>().prop_map(|(which, multiple)| Step::Requeue { which, multiple }),
        1 => any::<u8>().prop_map(|which| Step::Reject { which }),
        1 => Just(Step::Recover),
        1 => Just(Step::Purge),
        1 => Just(Step::Reopen),
    ]
}

/// A message by its number, and whether it was out before.
type Known = (u64, bool);

/// What is out: its tag, the message, and whether the consumer has it.
#[derive(Debug, Clone, Copy)]
struct Out {
    tag: u64,
    message: u64,
    by_consumer: bool,
}

/// One queue used over one channel with at most one consumer.
#[derive(Debug, Default)]
struct Model {
    ready: Vec<Known>,
    out: Vec<Out>,
    published: u64,
    tag: u64,
    /// The consumer's prefetch, 0 for none.
    consumer: Option<u8>,
}

impl Model {
    fn put_back(&mut self, message: u64) {
        let place = self
            .ready
            .iter()
            .position(|(other, _)| *other > message)
            .unwrap_or(self.ready.len());
        self.ready.insert(place, (message, true));
    }

    fn take(&mut self, by_consumer: bool, no_ack: bool) -> Option<(u64, Known)> {
        if self.ready.is_empty() {
            return None;
        }
        let known = self.ready.remove(0);
        self.tag += 1;
        if !no_ack {
            self.out.push(Out {
                tag: self.tag,
                message: known.0,
                by_consumer,
            });
        }
        Some((self.tag, known))
    }

    /// What the consumer gets now.
    fn deliver(&mut self) -> Vec<(u64, Known)> {
        let mut delivered = Vec::new();
        while let Some(prefetch) = self.consumer {
            let held = self.out.iter().filter(|out| out.by_consumer).count();
            if prefetch != 0 && held >= prefetch.into() {
                break;
            }
            let Some(taken) = self.take(true, false) else {
                break;
            };
            delivered.push(taken);
        }
        delivered
    }

    /// The tags that a settlement of `which` means.
    fn settle(&mut self, which: u8, multiple: bool) -> Option<(u64, Vec<Out>)> {
        if self.out.is_empty() {
            return None;
        }
        let tag = self.out[usize::from(which) % self.out.len()].tag;
        let taken = |out: &Out| {
            if multiple {
                out.tag <= tag
            } else {
                out.tag == tag
            }
        };
        let settled = self.out.iter().copied().filter(taken).collect();
        self.out.retain(|out| !taken(out));
        Some((tag, settled))
    }
}

struct Run {
    bench: Bench,
    client: Client,
    model: Model,
    /// What is given back has to wait for its turn.
    later: bool,
}

impl Run {
    fn new(later: bool) -> Run {
        let mut bench = Bench::new();
        let client = bench.connect();
        bench.ask(client, &queue_declare("q", FieldTable::new()));
        Run {
            bench,
            client,
            model: Model::default(),
            later,
        }
    }

    /// Deliveries among the answers, as (tag, message, redelivered).
    fn check(
        &mut self,
        method: Option<&Method<'_>>,
        expected: &[(u64, Known)],
    ) -> Result<(), TestCaseError> {
        self.hold_returns();
        let answers = match method {
            Some(method) => self.bench.call(self.client, method),
            None => self.bench.answers(self.client),
        };
        let closes: Vec<_> = answers
            .iter()
            .filter(|answer| answer.text.contains("Close {"))
            .collect();
        prop_assert!(closes.is_empty(), "{:?}", closes);
        let wanted: Vec<String> = expected
            .iter()
            .map(|(_, (message, _))| message.to_string())
            .collect();
        prop_assert_eq!(bodies(&answers), wanted);
        let with_body = answers.iter().filter(|answer| answer.body.is_some());
        for (answer, (tag, (_, redelivered))) in with_body.zip(expected) {
            let text = format!("delivery_tag: {tag}, redelivered: {redelivered}");
            prop_assert!(answer.text.contains(&text), "{} in {}", text, answer.text);
        }
        Ok(())
    }

    fn hold_returns(&mut self) {
        if self.later {
            self.bench.core.takes_back = 0;
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Publish => {
                self.model.published += 1;
                self.model.ready.push((self.model.published, false));
                let expected = self.model.deliver();
                let body = self.model.published.to_string();
                self.bench.publish(self.client, "", "q", &body);
                self.check(None, &expected)
            }
            Step::Get { no_ack } => {
                let expected: Vec<_> = self.model.take(false, *no_ack).into_iter().collect();
                self.check(
                    Some(&Method::BasicGet {
                        ticket: 0,
                        queue: "q",
                        no_ack: *no_ack,
                    }),
                    &expected,
                )
            }
            Step::Consume { prefetch } => self.consume(*prefetch),
            Step::Cancel => {
                self.model.consumer = None;
                // what a cancelled consumer has out counts for no other consumer
                self.model
                    .out
                    .iter_mut()
                    .for_each(|out| out.by_consumer = false);
                self.check(
                    Some(&Method::BasicCancel {
                        consumer_tag: "t",
                        nowait: false,
                    }),
                    &[],
                )
            }
            Step::Ack { which, multiple } => {
                let Some((tag, _)) = self.model.settle(*which, *multiple) else {
                    return Ok(());
                };
                let expected = self.model.deliver();
                self.check(
                    Some(&Method::BasicAck {
                        delivery_tag: tag,
                        multiple: *multiple,
                    }),
                    &expected,
                )
            }
            Step::Requeue { which, multiple } => {
                let Some((tag, settled)) = self.model.settle(*which, *multiple) else {
                    return Ok(());
                };
                settled
                    .iter()
                    .for_each(|out| self.model.put_back(out.message));
                let expected = self.model.deliver();
                let method = Method::BasicNack {
                    delivery_tag: tag,
                    multiple: *multiple,
                    requeue: true,
                };
                self.check(Some(&method), &expected)
            }
            Step::Reject { which } => {
                let Some((tag, _)) = self.model.settle(*which, false) else {
                    return Ok(());
                };
                let expected = self.model.deliver();
                self.check(
                    Some(&Method::BasicReject {
                        delivery_tag: tag,
                        requeue: false,
                    }),
                    &expected,
                )
            }
            Step::Recover => {
                for out in std::mem::take(&mut self.model.out) {
                    self.model.put_back(out.message);
                }
                let expected = self.model.deliver();
                self.check(Some(&Method::BasicRecover { requeue: true }), &expected)
            }
            Step::Purge => {
                self.model.ready.clear();
                self.check(
                    Some(&Method::QueuePurge {
                        ticket: 0,
                        queue: "q",
                        nowait: false,
                    }),
                    &[],
                )
            }
            Step::Reopen => self.reopen(),
        }
    }

    fn consume(&mut self, prefetch: u8) -> Result<(), TestCaseError> {
        if self.model.consumer.is_some() {
            return Ok(());
        }
        let count = u16::from(prefetch);
        self.bench.call(
            self.client,
            &Method::BasicQos {
                prefetch_size: 0,
                prefetch_count: count,
                global: false,
            },
        );
        self.model.consumer = Some(prefetch);
        let expected = self.model.deliver();
        let answers = super::kit::basic_consume("q", "t", false, false, FieldTable::new());
        self.check(Some(&answers), &expected)
    }

    fn reopen(&mut self) -> Result<(), TestCaseError> {
        self.hold_returns();
        self.bench.call(
            self.client,
            &Method::ChannelClose {
                reply_code: 200,
                reply_text: "",
                class_id: 0,
                method_id: 0,
            },
        );
        self.bench.open_channel(self.client, 1);
        for out in std::mem::take(&mut self.model.out) {
            self.model.put_back(out.message);
        }
        self.model.consumer = None;
        self.model.tag = 0;
        Ok(())
    }

    fn counts_agree(&self) -> Result<(), TestCaseError> {
        let queue = self.bench.core.find_queue("/", "q").expect("declared");
        prop_assert_eq!(queue.ready.len(), self.model.ready.len());
        prop_assert_eq!(queue.unacked, self.model.out.len());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_queue_agrees_with_the_model(
        steps in proptest::collection::vec(step(), 1..80),
        later in any::<bool>(),
    ) {
        let mut run = Run::new(later);
        for step in &steps {
            run.step(step)?;
            run.counts_agree()?;
        }
    }
}
