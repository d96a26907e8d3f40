//! Why a request is refused: AMQP's reply code and RabbitMQ's text, with the scope that the code demands.

use std::fmt;

/// AMQP's reply codes, under the names that open every reply text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    ContentTooLarge = 311,
    NoRoute = 312,
    NoConsumers = 313,
    ConnectionForced = 320,
    InvalidPath = 402,
    AccessRefused = 403,
    NotFound = 404,
    ResourceLocked = 405,
    PreconditionFailed = 406,
    FrameError = 501,
    SyntaxError = 502,
    CommandInvalid = 503,
    ChannelError = 504,
    UnexpectedFrame = 505,
    ResourceError = 506,
    NotAllowed = 530,
    NotImplemented = 540,
    InternalError = 541,
}

impl Code {
    pub fn number(self) -> u16 {
        self as u16
    }

    pub fn name(self) -> &'static str {
        match self {
            Code::ContentTooLarge => "CONTENT_TOO_LARGE",
            Code::NoRoute => "NO_ROUTE",
            Code::NoConsumers => "NO_CONSUMERS",
            Code::ConnectionForced => "CONNECTION_FORCED",
            Code::InvalidPath => "INVALID_PATH",
            Code::AccessRefused => "ACCESS_REFUSED",
            Code::NotFound => "NOT_FOUND",
            Code::ResourceLocked => "RESOURCE_LOCKED",
            Code::PreconditionFailed => "PRECONDITION_FAILED",
            Code::FrameError => "FRAME_ERROR",
            Code::SyntaxError => "SYNTAX_ERROR",
            Code::CommandInvalid => "COMMAND_INVALID",
            Code::ChannelError => "CHANNEL_ERROR",
            Code::UnexpectedFrame => "UNEXPECTED_FRAME",
            Code::ResourceError => "RESOURCE_ERROR",
            Code::NotAllowed => "NOT_ALLOWED",
            Code::NotImplemented => "NOT_IMPLEMENTED",
            Code::InternalError => "INTERNAL_ERROR",
        }
    }

    /// Whether the code closes the whole connection; otherwise only the channel.
    pub fn closes_connection(self) -> bool {
        !matches!(
            self,
            Code::ContentTooLarge
                | Code::NoRoute
                | Code::NoConsumers
                | Code::AccessRefused
                | Code::NotFound
                | Code::ResourceLocked
                | Code::PreconditionFailed
        )
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// The text after `NAME - `.
    pub text: String,
    /// Closes the connection although the code alone would close a channel (access to a vhost, a login).
    pub fatal: bool,
}

impl Refusal {
    pub fn new(code: Code, text: impl Into<String>) -> Refusal {
        Refusal {
            code,
            text: text.into(),
            fatal: code.closes_connection(),
        }
    }

    /// The same refusal as an error of the whole connection.
    pub fn of_connection(mut self) -> Refusal {
        self.fatal = true;
        self
    }

    pub fn not_found(text: impl Into<String>) -> Refusal {
        Refusal::new(Code::NotFound, text)
    }

    pub fn internal_exchange(vhost: &str, name: &str) -> Refusal {
        Refusal::access(format!(
            "cannot publish to internal exchange '{name}' in vhost '{vhost}'"
        ))
    }

    pub fn no_queue(vhost: &str, name: &str) -> Refusal {
        Refusal::not_found(format!("no queue '{name}' in vhost '{vhost}'"))
    }

    pub fn no_exchange(vhost: &str, name: &str) -> Refusal {
        Refusal::not_found(format!("no exchange '{name}' in vhost '{vhost}'"))
    }

    pub fn precondition(text: impl Into<String>) -> Refusal {
        Refusal::new(Code::PreconditionFailed, text)
    }

    pub fn access(text: impl Into<String>) -> Refusal {
        Refusal::new(Code::AccessRefused, text)
    }

    /// `NAME - text`, cut to what a short string holds.
    pub fn reply_text(&self) -> String {
        let mut text = format!("{} - {}", self.code.name(), self.text);
        if text.len() > 255 {
            let mut end = 255;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        text
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.code.name(), self.text)
    }
}

impl std::error::Error for Refusal {}
