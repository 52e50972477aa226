//! What SQLite is not shown at all, when a component is not trusted.
//!
//! SQLite compiles a statement before anything bounds it: its stack and its memory grow
//! with what the text says, the progress handler is not asked, and of some expressions
//! of a schema the authorizer is not told. So the text is read here first. Nothing is
//! parsed: the rules are about tokens, hold for every version of SQLite, and err on the
//! side of refusing. What they bound:
//!
//! - *Nesting*: SQLite recurses for every level of parentheses.
//! - *Expansion*: a name may stand for a copy of an expression or of a query (a common
//!   table expression, a query in `FROM`, an alias, a window), which may have such names
//!   in it. The copies are fewer than the tokens of the statement, multiplied by the names
//!   of each of its queries.
//! - *Values*: a function, a cast or an operator that makes a new value keeps it while
//!   the statement runs, and so does each table of a join with its row.
//! - *Definitions*: what a table or an index computes, it computes in every statement
//!   that writes to it, and a row has a copy for each of its indexes. So it computes
//!   nothing, but for `max` and `min` of columns in an index, and indexes are few.

mod token;

use token::{Token, Tokens};

/// How deep parentheses may be.
const NESTING: usize = 32;

/// How many nodes a statement may have once everything is copied, estimated from above.
const EXPANSION: u64 = 4 << 20;

/// How many functions, casts and operators may make a value that is as long as a row.
pub(super) const VALUES: usize = 16;

/// How many tables and queries may be read.
pub(super) const SOURCES: usize = 16;

/// What a `*` stands for, at most: a limit that is set for SQLite.
pub(super) const COLUMNS: usize = 200;

/// How many indexes a table may have: a row is written to all of them at once.
pub(super) const INDEXES: usize = 16;

/// Words that cannot be a name unless they are quoted, and stand before parentheses
/// that are no arguments.
const RESERVED: &[&str] = &[
    "AND", "AS", "CASE", "DISTINCT", "ELSE", "EXISTS", "FROM", "HAVING", "IN", "INTO", "IS", "NOT",
    "NULL", "ON", "OR", "SET", "THEN", "UNION", "USING", "VALUES", "WHEN", "WHERE",
];

/// Words that end the list of what is read.
const AFTER_SOURCES: &[&str] = &[
    "WHERE",
    "GROUP",
    "ORDER",
    "LIMIT",
    "HAVING",
    "WINDOW",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "SELECT",
    "SET",
    "RETURNING",
];

/// What a definition can compute with. `AS` makes a generated column.
const COMPUTING: &[&str] = &["AS", "SELECT", "LIKE", "GLOB", "REGEXP", "MATCH"];

/// Why a statement is refused.
pub(super) type Refusal = &'static str;

const TOO_DEEP: Refusal = "the parentheses are too deep";
const TOO_COMPLEX: Refusal = "the statement has too many names in too many queries";
const MANY_VALUES: Refusal = "the statement has too many functions, casts and concatenations";
const MANY_SOURCES: Refusal = "the statement reads too many tables";
const UNREADABLE: Refusal = "the statement has a token that is not known";
const OTHER_OBJECT: Refusal = "only tables and indexes can be made";
const COMPUTES: Refusal = "a table or an index cannot compute (a default in parentheses, AS, \
     a function, an operator that makes text)";
pub(super) const MANY_INDEXES: Refusal = "a table has too many indexes";
const ACTS: Refusal = "a foreign key cannot have an action";

/// Judges a statement.
pub(super) fn statement(sql: &str) -> Result<Option<Definition>, Refusal> {
    if sql.contains('\0') {
        // Where the statement ends for SQLite, whatever follows.
        return Err(UNREADABLE);
    }
    // A reserved word: wherever it is, the statement defines something or is wrong.
    let mut defines = false;
    let mut statement = Statement::new();
    let mut tokens = Tokens::new(sql).peekable();
    while let Some(token) = tokens.next() {
        defines |= token.is("CREATE");
        statement.take(token, tokens.peek().copied())?;
    }
    statement.finish(defines)?;
    Ok(if defines {
        Some(definition(sql)?)
    } else {
        None
    })
}

/// What a statement makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    Table,
    Index,
}

/// Judges what makes a table or an index.
pub(super) fn definition(sql: &str) -> Result<Definition, Refusal> {
    if sql.contains('\0') {
        return Err(UNREADABLE);
    }
    let mut kind = Tokens::new(sql)
        .skip_while(|token| !token.is("CREATE"))
        .skip(1)
        .skip_while(|token| token.is_one_of(&["UNIQUE", "TEMP", "TEMPORARY"]));
    let definition = match kind.next() {
        Some(token) if token.is("TABLE") => Definition::Table,
        Some(token) if token.is("INDEX") => Definition::Index,
        _ => return Err(OTHER_OBJECT),
    };
    let mut depth = 0_usize;
    let mut opened = 0_usize;
    let mut indexes = 0_usize;
    let mut before = Token::Other;
    for token in Tokens::new(sql) {
        match token {
            Token::Open => {
                depth += 1;
                opened += 1;
                let is_harmless = match definition {
                    // The list of the columns, a constraint. A function would be deeper.
                    Definition::Table => depth <= 2 && !before.is("DEFAULT"),
                    // The list of the columns. A condition may follow it, without any.
                    Definition::Index => {
                        opened == 1 || (depth == 2 && before.is_one_of(&["MAX", "MIN"]))
                    }
                };
                if !is_harmless {
                    return Err(COMPUTES);
                }
            }
            Token::Close => depth = depth.saturating_sub(1),
            Token::Makes => return Err(COMPUTES),
            Token::Unknown => return Err(UNREADABLE),
            _ if token.is_one_of(COMPUTING) => return Err(COMPUTES),
            _ if token.is_one_of(&["CASCADE", "SET"]) => return Err(ACTS),
            _ if token.is_one_of(&["UNIQUE", "PRIMARY"]) => indexes += 1,
            _ => {}
        }
        before = token;
    }
    if indexes > INDEXES {
        return Err(MANY_INDEXES);
    }
    Ok(definition)
}

/// What is known of a statement so far.
struct Statement<'a> {
    before: Option<Token<'a>>,
    /// How much there is to copy.
    tokens: u64,
    values: usize,
    sources: usize,
    /// The names of each query.
    names: Vec<u64>,
    /// The parentheses that are open.
    open: Vec<Scope>,
    scope: Scope,
}

/// What is between two parentheses.
#[derive(Clone, Copy)]
struct Scope {
    /// Which query it belongs to.
    query: usize,
    /// Whether it is in a list of what is read.
    sources: bool,
}

impl<'a> Statement<'a> {
    fn new() -> Self {
        Self {
            before: None,
            tokens: 0,
            values: 0,
            sources: 0,
            names: vec![1],
            open: Vec::new(),
            scope: Scope {
                query: 0,
                sources: false,
            },
        }
    }

    fn take(&mut self, token: Token<'a>, next: Option<Token<'_>>) -> Result<(), Refusal> {
        self.tokens = self.tokens.saturating_add(1);
        match token {
            Token::Unknown => return Err(UNREADABLE),
            Token::Open => self.open(next)?,
            Token::Close => {
                if let Some(scope) = self.open.pop() {
                    self.scope = scope;
                }
            }
            Token::Makes => self.values += 1,
            Token::Comma if self.scope.sources => self.sources += 1,
            Token::Star if self.is_all_columns() => {
                self.name();
                self.tokens = self.tokens.saturating_add(COLUMNS as u64);
            }
            Token::Word(_) | Token::Name => self.word(token, next),
            _ => {}
        }
        self.before = Some(token);
        if self.sources > SOURCES {
            return Err(MANY_SOURCES);
        }
        Ok(())
    }

    fn open(&mut self, next: Option<Token<'_>>) -> Result<(), Refusal> {
        if self.open.len() >= NESTING {
            return Err(TOO_DEEP);
        }
        self.open.push(self.scope);
        if next.is_some_and(|token| token.is_one_of(&["SELECT", "VALUES", "WITH"])) {
            self.scope = Scope {
                query: self.names.len(),
                sources: false,
            };
            self.names.push(1);
        }
        Ok(())
    }

    fn word(&mut self, token: Token<'_>, next: Option<Token<'_>>) {
        if token.is_one_of(AFTER_SOURCES) {
            self.scope.sources = false;
        } else if token.is("FROM") || token.is("JOIN") {
            self.scope.sources = true;
            self.sources += 1;
        }
        if token.is_one_of(RESERVED) {
            return;
        }
        self.name();
        // Where a table is named with its columns, too.
        if next == Some(Token::Open) {
            self.values += 1;
        }
    }

    fn name(&mut self) {
        if let Some(names) = self.names.get_mut(self.scope.query) {
            *names = names.saturating_add(1);
        }
    }

    fn is_all_columns(&self) -> bool {
        self.before.is_some_and(|token| match token {
            Token::Comma | Token::Dot => true,
            token => token.is_one_of(&["SELECT", "DISTINCT", "ALL", "RETURNING"]),
        })
    }

    fn finish(self, defines: bool) -> Result<(), Refusal> {
        // In a definition they are the arguments of types and constraints.
        if self.values > VALUES && !defines {
            return Err(MANY_VALUES);
        }
        let nodes = self
            .names
            .into_iter()
            .fold(self.tokens, u64::saturating_mul);
        if nodes > EXPANSION {
            return Err(TOO_COMPLEX);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
