//! What is stored, and what is under way.

use crate::{
    body::{Body, BodyReader, OutOfRange},
    record::Record,
    stream::{Broken, Follower, Stream},
};
use bytes::Bytes;
use std::sync::Arc;

/// A complete object. What is charged for its record is charged with its body.
#[derive(Debug)]
pub struct Object<M> {
    /// What is known of it.
    pub record: Arc<Record<M>>,
    /// Its body.
    pub body: Arc<Body>,
}

/// An object whose body is arriving.
#[derive(Debug)]
pub struct Fill<M> {
    /// Tells the fills of one key apart.
    pub id: u64,
    /// What is known of it.
    pub record: Arc<Record<M>>,
    /// Its body.
    pub stream: Arc<Stream>,
}

/// Reads a body, complete or under way.
#[derive(Debug)]
pub enum Reader {
    /// All of it is there.
    Stored(BodyReader),
    /// It is arriving.
    Following(Follower),
}

impl<M> Clone for Object<M> {
    fn clone(&self) -> Self {
        Self {
            record: Arc::clone(&self.record),
            body: Arc::clone(&self.body),
        }
    }
}

impl Reader {
    /// The next piece, waiting for it if it is still to arrive; none at the end. Cancel-safe.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Broken> {
        match self {
            Self::Stored(reader) => reader.read(),
            Self::Following(follower) => follower.read().await,
        }
    }

    /// Goes to an offset, to read up to an end (exclusive).
    pub fn seek(&mut self, start: u64, end: Option<u64>) -> Result<(), OutOfRange> {
        match self {
            Self::Stored(reader) => reader.seek(start, end),
            Self::Following(follower) => follower.seek(start, end),
        }
    }
}
