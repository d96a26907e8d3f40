//! What a check found, by the names and numbers that operators and tools know.

/// What a finished check found, with the names operators know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CheckStatus {
    /// No check is configured.
    Unknown = 0,
    /// No check has finished yet.
    Initializing = 1,
    /// An agent said nothing about health.
    Checked = 3,
    /// Live traffic showed enough errors in a row (`observe`).
    Analysis = 4,
    /// The local side could not make a socket.
    SocketError = 5,
    /// The connection was established.
    L4Ok = 6,
    /// Nothing answered the connection attempt in time.
    L4Timeout = 7,
    /// The connection was refused or the host unreachable.
    L4Connection = 8,
    /// The TLS handshake went well.
    L6Ok = 9,
    /// The TLS handshake did not finish in time.
    L6Timeout = 10,
    /// The TLS handshake failed.
    L6Response = 11,
    /// The answer did not come in time.
    L7Timeout = 12,
    /// The answer made no sense.
    L7Response = 13,
    /// The answer was the expected one.
    L7Ok = 15,
    /// The answer was good but asks for no new sessions.
    L7OkConditional = 16,
    /// The answer was well formed and said no.
    L7Status = 17,
    /// The external command could not run.
    ProcessError = 18,
    /// The external command did not end in time.
    ProcessTimeout = 19,
    /// The external command succeeded.
    ProcessOk = 20,
}

impl CheckStatus {
    /// The short name in statistics: `L4OK`.
    pub fn name(self) -> &'static str {
        match self {
            CheckStatus::Unknown => "UNK",
            CheckStatus::Initializing => "INI",
            CheckStatus::Checked => "CHECKED",
            CheckStatus::Analysis => "HANA",
            CheckStatus::SocketError => "SOCKERR",
            CheckStatus::L4Ok => "L4OK",
            CheckStatus::L4Timeout => "L4TOUT",
            CheckStatus::L4Connection => "L4CON",
            CheckStatus::L6Ok => "L6OK",
            CheckStatus::L6Timeout => "L6TOUT",
            CheckStatus::L6Response => "L6RSP",
            CheckStatus::L7Timeout => "L7TOUT",
            CheckStatus::L7Response => "L7RSP",
            CheckStatus::L7Ok => "L7OK",
            CheckStatus::L7OkConditional => "L7OKC",
            CheckStatus::L7Status => "L7STS",
            CheckStatus::ProcessError => "PROCERR",
            CheckStatus::ProcessTimeout => "PROCTOUT",
            CheckStatus::ProcessOk => "PROCOK",
        }
    }

    /// The sentence of log lines and tooltips: `Layer4 check passed`.
    pub fn description(self) -> &'static str {
        match self {
            CheckStatus::Unknown => "Unknown",
            CheckStatus::Initializing => "Initializing",
            CheckStatus::Checked => "No status change",
            CheckStatus::Analysis => "Health analyze",
            CheckStatus::SocketError => "Socket error",
            CheckStatus::L4Ok => "Layer4 check passed",
            CheckStatus::L4Timeout => "Layer4 timeout",
            CheckStatus::L4Connection => "Layer4 connection problem",
            CheckStatus::L6Ok => "Layer6 check passed",
            CheckStatus::L6Timeout => "Layer6 timeout",
            CheckStatus::L6Response => "Layer6 invalid response",
            CheckStatus::L7Timeout => "Layer7 timeout",
            CheckStatus::L7Response => "Layer7 invalid response",
            CheckStatus::L7Ok => "Layer7 check passed",
            CheckStatus::L7OkConditional => "Layer7 check conditionally passed",
            CheckStatus::L7Status => "Layer7 wrong status",
            CheckStatus::ProcessError => "External check error",
            CheckStatus::ProcessTimeout => "External check timeout",
            CheckStatus::ProcessOk => "External check passed",
        }
    }

    /// What it means for the server.
    pub fn result(self) -> CheckResult {
        match self {
            CheckStatus::Unknown | CheckStatus::Initializing => CheckResult::Unknown,
            CheckStatus::Checked => CheckResult::Neutral,
            CheckStatus::L4Ok | CheckStatus::L6Ok | CheckStatus::L7Ok | CheckStatus::ProcessOk => {
                CheckResult::Passed
            }
            CheckStatus::L7OkConditional => CheckResult::ConditionallyPassed,
            CheckStatus::Analysis
            | CheckStatus::SocketError
            | CheckStatus::L4Timeout
            | CheckStatus::L4Connection
            | CheckStatus::L6Timeout
            | CheckStatus::L6Response
            | CheckStatus::L7Timeout
            | CheckStatus::L7Response
            | CheckStatus::L7Status
            | CheckStatus::ProcessError
            | CheckStatus::ProcessTimeout => CheckResult::Failed,
        }
    }

    /// By the number of `show servers state`.
    pub fn by_number(number: u8) -> Option<CheckStatus> {
        use CheckStatus as S;
        const ALL: [CheckStatus; 18] = [
            S::Unknown,
            S::Initializing,
            S::Analysis,
            S::SocketError,
            S::L4Ok,
            S::L4Timeout,
            S::L4Connection,
            S::L6Ok,
            S::L6Timeout,
            S::L6Response,
            S::L7Timeout,
            S::L7Response,
            S::L7Ok,
            S::L7OkConditional,
            S::L7Status,
            S::ProcessError,
            S::ProcessTimeout,
            S::ProcessOk,
        ];
        ALL.into_iter().find(|status| status.number() == number)
    }

    /// The number of `show servers state`.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Whether an answer of the application was seen, so that its code and
    /// text are worth showing.
    pub fn has_answer(self) -> bool {
        self >= CheckStatus::L7Ok
    }

    /// By the short name (`tcp-check expect ... error-status L7STS`); the
    /// names of finished checks only.
    pub fn by_name(name: &str) -> Option<CheckStatus> {
        const FINISHED: [CheckStatus; 12] = [
            CheckStatus::SocketError,
            CheckStatus::L4Ok,
            CheckStatus::L4Timeout,
            CheckStatus::L4Connection,
            CheckStatus::L6Ok,
            CheckStatus::L6Timeout,
            CheckStatus::L6Response,
            CheckStatus::L7Timeout,
            CheckStatus::L7Response,
            CheckStatus::L7Ok,
            CheckStatus::L7OkConditional,
            CheckStatus::L7Status,
        ];
        FINISHED.into_iter().find(|status| status.name() == name)
    }
}

/// What a status means, as numbered in `show servers state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CheckResult {
    /// Not known yet.
    Unknown = 0,
    /// The check said nothing about health.
    Neutral = 1,
    /// The server failed the check.
    Failed = 2,
    /// The server passed the check.
    Passed = 3,
    /// The server passed, but wants no new sessions.
    ConditionallyPassed = 4,
}
