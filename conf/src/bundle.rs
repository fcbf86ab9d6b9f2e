//! The files of a policy as they travel: what `policy apply` sends, what the log names by digest, what an edge compiles.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};

/// The most bytes that the files of one policy may hold together.
pub const BUNDLE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One policy file: its name relative to the policy's folder, and its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Relative name, as errors show it: `shop.yaml`.
    pub name: String,
    /// The YAML text, untouched.
    pub text: String,
}

/// A whole policy as written: one or more files, whose sections are merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    files: Vec<File>,
}

impl Bundle {
    /// A bundle of these files, sorted by name, so that the digest does not depend on the order of reading.
    pub fn new(mut files: Vec<File>) -> Self {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Self { files }
    }

    /// A bundle of one file.
    pub fn single(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(vec![File {
            name: name.into(),
            text: text.into(),
        }])
    }

    /// The files, sorted by name.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The name of this policy everywhere: over names and texts of all files.
    pub fn digest(&self) -> Digest {
        Digest::of_parts(
            self.files
                .iter()
                .flat_map(|file| [file.name.as_bytes(), file.text.as_bytes()]),
        )
    }
}
