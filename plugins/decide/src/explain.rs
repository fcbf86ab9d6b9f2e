//! What would happen to a request, and why, without traffic.
