//! Why a store cannot be opened.

use super::metadata_log::MetadataError;
use super::recovery::RecoveryError;
use std::fmt;
use std::io;

/// Why the store cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    Io(io::Error),
    /// Written by a newer version of this program, with this version of the format.
    Newer(u16),
    /// The metadata log cannot be read from this offset on, though it was durable.
    Metadata {
        file: String,
        offset: u64,
    },
    /// This segment belongs to another metadata log than the one here.
    Foreign(u32),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io(error) => write!(f, "{error}"),
            OpenError::Newer(version) => {
                write!(
                    f,
                    "it was written by a newer version of this program (format {version})"
                )
            }
            OpenError::Metadata { file, offset } => {
                write!(
                    f,
                    "{file} is damaged at byte {offset}: restore it, or move the whole directory away"
                )
            }
            OpenError::Foreign(segment) => {
                write!(
                    f,
                    "segment {segment} does not belong to the metadata log that is here"
                )
            }
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

impl From<MetadataError> for OpenError {
    fn from(error: MetadataError) -> OpenError {
        match error {
            MetadataError::Io(error) => OpenError::Io(error),
            MetadataError::Newer(version) => OpenError::Newer(version),
            MetadataError::Damaged(file, offset) => OpenError::Metadata { file, offset },
        }
    }
}

impl From<RecoveryError> for OpenError {
    fn from(error: RecoveryError) -> OpenError {
        match error {
            RecoveryError::Io(error) => OpenError::Io(error),
            RecoveryError::Newer(version) => OpenError::Newer(version),
            RecoveryError::Foreign(segment) => OpenError::Foreign(segment),
        }
    }
}
