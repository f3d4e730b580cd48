//! The tag grammar.
