//! Codes of the broker's configuration.

use crate::code::Code;

/// `E3xxx`.
pub static CODES: &[Code] = &[
    Code {
        id: "E3001",
        title: "not in the form of the file",
        explanation: "broker.toml is TOML: sections in brackets, then `key = value` with strings \
                      in quotes. rabbitmq.conf has one `key = value` a line without sections. \
                      Which of both a file is, is told by its name (`.toml` or `.conf`), else by \
                      its first line.",
    },
    Code {
        id: "E3002",
        title: "a key without effect",
        explanation: "The key belongs to RabbitMQ and is accepted, because nothing that clients \
                      or operators see depends on it here. The remark says why.",
    },
    Code {
        id: "E3003",
        title: "TLS is not complete",
        explanation: "A TLS listener needs a certificate with its chain and the private key; \
                      asking clients for certificates needs the authorities that sign them. \
                      Set `certificate`, `key` and `client-ca` in `[tls]` (`ssl_options.certfile`, \
                      `ssl_options.keyfile` and `ssl_options.cacertfile` in rabbitmq.conf).",
    },
    Code {
        id: "E3004",
        title: "a configuration in Erlang terms",
        explanation: "The file is a list of Erlang terms (the older rabbitmq.config or \
                      advanced.config). Only the `key = value` form of rabbitmq.conf is read; \
                      most settings have a key there.",
    },
    Code {
        id: "E3005",
        title: "two listeners at one address",
        explanation: "Each listener needs a port of its own, or an address of its own at the same \
                      port; `*`, `0.0.0.0` and `[::]` stand for every address.",
    },
];
