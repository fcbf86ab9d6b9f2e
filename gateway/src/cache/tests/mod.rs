//! The adapters as Pingora drives them.
