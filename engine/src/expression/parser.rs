//! The base of the parsers of all expressions: reads tokens and paths, and collects placeholders.

use std::collections::BTreeSet;

use super::lexer::{Token, tokens};
use super::placeholders::{Name, Path};
use super::reserved::is_reserved;
use crate::error::{Error, invalid};

/// A position in an expression.
pub(crate) struct Parser<'a> {
    text: &'a str,
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'a>>>,
    names: BTreeSet<String>,
    values: BTreeSet<String>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, Error> {
        let tokens = tokens(text)?.into_iter().peekable();
        Ok(Self { text, tokens, names: BTreeSet::new(), values: BTreeSet::new() })
    }

    pub(super) fn peek(&mut self) -> Option<Token<'a>> {
        self.tokens.peek().copied()
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        self.tokens.next()
    }

    pub(super) fn unexpected(&self, what: &str) -> Error {
        invalid(format!("the local engine does not support {what} in the expression: {}", self.text))
    }

    /// Takes a symbol if it comes next.
    pub(super) fn takes(&mut self, symbol: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Symbol(found) if *found == symbol)).is_some()
    }

    /// Takes a keyword, in upper or lower case, if it comes next.
    pub(super) fn takes_word(&mut self, keyword: &str) -> bool {
        let is_it =
            |token: &Token<'_>| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(keyword));
        self.tokens.next_if(is_it).is_some()
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), Error> {
        if self.takes(symbol) { Ok(()) } else { Err(self.unexpected(&format!("a missing {symbol}"))) }
    }

    /// Reads the name of a top-level attribute.
    pub(super) fn name(&mut self) -> Result<Name, Error> {
        match self.next() {
            Some(Token::Name(name)) => {
                self.names.insert(name.to_owned());
                Ok(Name::Placeholder(name.to_owned()))
            }
            Some(Token::Word(word)) if is_reserved(word) => {
                Err(invalid(format!("Attribute name is a reserved keyword; reserved keyword: {word}")))
            }
            Some(Token::Word(word)) => Ok(Name::Bare(word.to_owned())),
            token => Err(self.unexpected(&format!("{token:?}"))),
        }
    }

    /// Reads a path, such as `a.#b`.
    pub(super) fn path(&mut self) -> Result<Path, Error> {
        let mut parts = vec![self.name()?];
        while self.takes(".") {
            parts.push(self.name()?);
        }
        Ok(Path(parts))
    }

    /// Reads the placeholder of a value.
    pub(super) fn value(&mut self) -> Result<String, Error> {
        match self.next() {
            Some(Token::Value(value)) => {
                self.values.insert(value.to_owned());
                Ok(value.to_owned())
            }
            token => Err(self.unexpected(&format!("{token:?}"))),
        }
    }

    /// Checks that the expression ends here. Returns the placeholders of its names and values.
    pub(super) fn end(mut self) -> Result<(BTreeSet<String>, BTreeSet<String>), Error> {
        match self.next() {
            None => Ok((self.names, self.values)),
            Some(token) => Err(self.unexpected(&format!("{token:?}"))),
        }
    }
}
