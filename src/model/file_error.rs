//! The error of a file that the configuration names.

use std::error::Error;
use std::path::{Path, PathBuf};

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}", file.display())]
pub struct FileError {
    file: PathBuf,
    source: Box<dyn Error + Send + Sync>,
}

impl FileError {
    /// Creates the error of a file from its cause, or from a reason in words.
    pub fn new(file: &Path, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            file: file.to_owned(),
            source: cause.into(),
        }
    }
}
