//! What may be wrong with a connection, in the numbers and words of HAProxy's
//! `fc_err` and `bc_err`.

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionError {
    /// The client closed before its PROXY header came.
    HeaderMissing,
    /// The PROXY header did not come in time.
    HeaderLate,
    /// The client closed within its PROXY header.
    HeaderTruncated,
    /// What came is no PROXY header.
    HeaderForeign,
    /// A PROXY header that makes no sense.
    HeaderInvalid,
    /// A PROXY header of a protocol that is not known.
    HeaderOfOther,
}

impl ConnectionError {
    /// Nothing is wrong, in words.
    pub const NOTHING: &str = "Success";

    /// Its number; 0 is for nothing wrong.
    pub fn number(self) -> i64 {
        match self {
            ConnectionError::HeaderMissing => 11,
            ConnectionError::HeaderLate => 13,
            ConnectionError::HeaderTruncated => 14,
            ConnectionError::HeaderForeign => 15,
            ConnectionError::HeaderInvalid => 16,
            ConnectionError::HeaderOfOther => 17,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            ConnectionError::HeaderMissing => {
                "Connection closed while waiting for PROXY protocol header"
            }
            ConnectionError::HeaderLate => "Timeout while waiting for PROXY protocol header",
            ConnectionError::HeaderTruncated => "Truncated PROXY protocol header received",
            ConnectionError::HeaderForeign => {
                "Received something which does not look like a PROXY protocol header"
            }
            ConnectionError::HeaderInvalid => "Received an invalid PROXY protocol header",
            ConnectionError::HeaderOfOther => {
                "Received an unhandled protocol in the PROXY protocol header"
            }
        }
    }
}
