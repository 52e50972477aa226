//! The tokens of a statement, as SQLite finds them.

/// A token, as far as the rules need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword or a name that is not quoted.
    Word(&'a str),
    /// A name in double quotes, backticks or brackets.
    Name,
    /// A text, a blob, a number or a parameter.
    Value,
    Open,
    Close,
    Comma,
    Dot,
    Star,
    /// An operator that makes a value as long as its operands: `||`, `->`, `->>`.
    Makes,
    /// Another operator, or the end of a statement.
    Other,
    /// What SQLite refuses, or not every version reads in the same way.
    Unknown,
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn is_one_of(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }
}

/// The tokens of a text. Comments and spaces are none.
#[derive(Clone)]
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

/// The mark of the byte order: a space for some versions, a part of a name for others.
const MARK: char = '\u{feff}';

impl<'a> Tokens<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self { rest: sql }
    }

    /// What is left of the text.
    #[cfg(test)]
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Skips what is between tokens.
    pub(super) fn skip_space(&mut self) {
        loop {
            let rest = self
                .rest
                .trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
            let rest = if let Some(comment) = rest.strip_prefix("--") {
                after(comment, "\n")
            } else if let Some(comment) = rest.strip_prefix("/*").filter(|rest| !rest.is_empty()) {
                after(comment, "*/")
            } else {
                self.rest = rest;
                return;
            };
            self.rest = rest;
        }
    }

    /// Takes what `belongs`, and returns it.
    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let length = self
            .rest
            .find(|character| !belongs(character))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn take_prefix(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The rest of what began with this quote; twice the quote is one that belongs to it.
    fn quoted(&mut self, quote: char, token: Token<'a>) -> Token<'a> {
        loop {
            let Some((_, rest)) = self.rest.split_once(quote) else {
                self.rest = "";
                return Token::Unknown;
            };
            self.rest = rest;
            match rest.strip_prefix(quote) {
                Some(rest) if quote != ']' => self.rest = rest,
                _ => return token,
            }
        }
    }

    /// The rest of a number.
    fn number(&mut self, first: char) -> Token<'a> {
        let mut digits = self.take(is_of_name);
        let is_hexadecimal = first == '0' && digits.starts_with(['x', 'X']);
        if !is_hexadecimal {
            if first != '.' && self.take_prefix(".") {
                digits = self.take(is_of_name);
            }
            if digits.ends_with(['e', 'E']) && self.rest.starts_with(['+', '-']) {
                self.rest = self.rest.get(1..).unwrap_or_default();
                self.take(is_of_name);
            }
        }
        Token::Value
    }

    /// The rest of an operator, which one of these may follow.
    fn operator(&mut self, rest: &[&str]) -> Token<'a> {
        let _ = rest.iter().any(|rest| self.take_prefix(rest));
        Token::Other
    }

    /// The rest of a parameter with a name.
    fn parameter(&mut self) -> Token<'a> {
        let name = self.take(is_of_name);
        // Brackets may belong to the name, as they do in Tcl.
        if name.is_empty() || self.rest.starts_with(['(', ':']) {
            return Token::Unknown;
        }
        Token::Value
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_space();
        let start = self.rest;
        let first = start.chars().next()?;
        self.rest = start.get(first.len_utf8()..).unwrap_or_default();
        Some(match first {
            '\'' => self.quoted('\'', Token::Value),
            '"' | '`' => self.quoted(first, Token::Name),
            '[' => self.quoted(']', Token::Name),
            'x' | 'X' if self.rest.starts_with('\'') => {
                self.take_prefix("'");
                let digits = self.take(|character| character.is_ascii_hexdigit());
                if digits.len().is_multiple_of(2) && self.take_prefix("'") {
                    Token::Value
                } else {
                    Token::Unknown
                }
            }
            '.' if self.rest.starts_with(|next: char| next.is_ascii_digit()) => self.number(first),
            '0'..='9' => self.number(first),
            '?' => {
                self.take(|character| character.is_ascii_digit());
                Token::Value
            }
            ':' | '@' | '$' => self.parameter(),
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '.' => Token::Dot,
            '*' => Token::Star,
            '|' if self.take_prefix("|") => Token::Makes,
            '-' if self.take_prefix(">") => {
                self.take_prefix(">");
                Token::Makes
            }
            '<' => self.operator(&["=", ">", "<"]),
            '>' => self.operator(&["=", ">"]),
            '=' => self.operator(&["="]),
            '!' if self.take_prefix("=") => Token::Other,
            '+' | '-' | '/' | '%' | '&' | '|' | '~' | ';' => Token::Other,
            MARK => Token::Unknown,
            _ if is_of_name(first) => {
                self.take(is_of_name);
                let length = start.len() - self.rest.len();
                Token::Word(start.get(..length).unwrap_or_default())
            }
            _ => Token::Unknown,
        })
    }
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$') || !character.is_ascii()
}

/// What follows the end of a comment, which may be missing.
fn after<'a>(comment: &'a str, end: &str) -> &'a str {
    comment.split_once(end).map_or("", |(_, rest)| rest)
}
