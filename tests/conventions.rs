//! The HTTP conventions: codes, tokens, bodies.
