//! Splits an expression into tokens.

use crate::error::{Error, invalid};

/// A token of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// An attribute name, a keyword or a function.
    Word(&'a str),
    /// A placeholder of a name, with its `#`.
    Name(&'a str),
    /// A placeholder of a value, with its `:`.
    Value(&'a str),
    /// An operator or punctuation.
    Symbol(&'a str),
}

/// Symbols, with the longer ones first.
const SYMBOLS: [&str; 9] = ["<=", ">=", "=", "<", ">", "(", ")", ",", "."];

/// Returns the tokens of an expression.
///
/// # Errors
/// If a character begins no token that the engine knows.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Error> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = |rest: &str, from: usize| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            rest.bytes().skip(from).take_while(|byte| is_part(*byte)).count() + from
        };
        let (token, end) = match first {
            '#' | ':' if length(rest, 1) > 1 => {
                let end = length(rest, 1);
                (if first == '#' { Token::Name(&rest[..end]) } else { Token::Value(&rest[..end]) }, end)
            }
            'a'..='z' | 'A'..='Z' => {
                let end = length(rest, 0);
                (Token::Word(&rest[..end]), end)
            }
            _ => {
                let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
                let symbol = symbol.filter(|_| !rest.starts_with("<>")).ok_or_else(|| {
                    invalid(format!("the local engine does not support this part of an expression: {rest}"))
                })?;
                (Token::Symbol(symbol), symbol.len())
            }
        };
        tokens.push(token);
        rest = rest[end..].trim_start();
    }
    Ok(tokens)
}
