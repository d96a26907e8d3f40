//! Values of the statistics and the tags that say how to read them.
//!
//! The typed and JSON outputs carry, beside each value, its origin (who made it), its nature (how
//! it may be aggregated) and its scope (what it is valid for). This module knows their letters and
//! words, and nothing about which columns exist.

use std::borrow::Cow;
use std::fmt;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Metric,
    Status,
    Key,
    Config,
    Product,
}

/// How a value behaves over time and how several of them aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Gauge,
    Limit,
    Max,
    Rate,
    Counter,
    Duration,
    Age,
    Name,
    Output,
    Average,
}

/// What a value is valid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Process,
    Service,
    System,
}

/// Origin, nature and scope of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags {
    pub origin: Origin,
    pub nature: Nature,
    pub scope: Scope,
}

impl Tags {
    pub const fn new(origin: Origin, nature: Nature, scope: Scope) -> Self {
        Self {
            origin,
            nature,
            scope,
        }
    }

    /// The three letters of the typed output, as `MGP`.
    pub fn letters(self) -> [u8; 3] {
        let origin = match self.origin {
            Origin::Metric => b'M',
            Origin::Status => b'S',
            Origin::Key => b'K',
            Origin::Config => b'C',
            Origin::Product => b'P',
        };
        let nature = match self.nature {
            Nature::Gauge => b'G',
            Nature::Limit => b'L',
            Nature::Max => b'M',
            Nature::Rate => b'R',
            Nature::Counter => b'C',
            Nature::Duration => b'D',
            Nature::Age => b'A',
            Nature::Name => b'N',
            Nature::Output => b'O',
            Nature::Average => b'a',
        };
        let scope = match self.scope {
            Scope::Process => b'P',
            Scope::Service => b'S',
            Scope::System => b's',
        };
        [origin, nature, scope]
    }

    /// The words of the JSON output.
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
        let origin = match self.origin {
            Origin::Metric => "Metric",
            Origin::Status => "Status",
            Origin::Key => "Key",
            Origin::Config => "Config",
            Origin::Product => "Product",
        };
        let nature = match self.nature {
            Nature::Gauge => "Gauge",
            Nature::Limit => "Limit",
            Nature::Max => "Max",
            Nature::Rate => "Rate",
            Nature::Counter => "Counter",
            Nature::Duration => "Duration",
            Nature::Age => "Age",
            Nature::Name => "Name",
            Nature::Output => "Output",
            Nature::Average => "Avg",
        };
        let scope = match self.scope {
            Scope::Process => "Process",
            Scope::Service => "Service",
            Scope::System => "System",
        };
        (origin, nature, scope)
    }
}

/// One value; [`Value::None`] where a field does not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    None,
    U32(u32),
    S32(i32),
    U64(u64),
    /// Seconds, kept in millionths.
    Seconds(u64),
    Str(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// Borrowed text.
    pub fn text(text: &'a str) -> Self {
        Value::Str(Cow::Borrowed(text))
    }

    /// A number where there is one.
    pub fn some_u32(number: Option<u32>) -> Self {
        number.map_or(Value::None, Value::U32)
    }

    /// The type's name in the typed and JSON outputs.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::None => "-",
            Value::U32(_) => "u32",
            Value::S32(_) => "s32",
            Value::U64(_) => "u64",
            Value::Seconds(_) => "flt",
            Value::Str(_) => "str",
        }
    }

    /// The value as a number, for series and charts; text has none.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::None | Value::Str(_) => None,
            Value::U32(n) => Some(f64::from(*n)),
            Value::S32(n) => Some(f64::from(*n)),
            Value::U64(n) => Some(*n as f64),
            Value::Seconds(micros) => Some(*micros as f64 / 1e6),
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => Ok(()),
            Value::U32(n) => n.fmt(f),
            Value::S32(n) => n.fmt(f),
            Value::U64(n) => n.fmt(f),
            Value::Seconds(micros) => write!(f, "{}.{:06}", micros / 1_000_000, micros % 1_000_000),
            Value::Str(text) => f.write_str(text),
        }
    }
}

/// The tags' usual combinations, by their letters.
pub mod tags {
    use super::{Nature, Origin, Scope, Tags};

    macro_rules! tags {
        ($($name:ident = $origin:ident $nature:ident $scope:ident;)*) => {
            $(pub const $name: Tags = Tags::new(Origin::$origin, Nature::$nature, Scope::$scope);)*
        };
    }
    tags! {
        KNS = Key Name Service;
        KGP = Key Gauge Process;
        KGS = Key Gauge Service;
        CGS = Config Gauge Service;
        CNS = Config Name Service;
        CLP = Config Limit Process;
        COS = Config Output Service;
        MGP = Metric Gauge Process;
        MMP = Metric Max Process;
        MCP = Metric Counter Process;
        MRP = Metric Rate Process;
        MAVG = Metric Average Process;
        MAP = Metric Age Process;
        MOP = Metric Output Process;
        MDP = Metric Duration Process;
        SGP = Status Gauge Process;
        POS = Product Output Service;
    }
}
