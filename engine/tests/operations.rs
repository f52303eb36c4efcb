//! What the engine refuses, its limits, tables, indexes and the stream.
