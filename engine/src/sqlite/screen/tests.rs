use rusqlite::Connection;

use super::token::{Token, Tokens};
use super::*;

fn refused(sql: &str, refusal: Refusal) {
    assert_eq!(statement(sql), Err(refusal), "{:.200}", sql);
}

/// Texts that look like others: what SQLite reads in one way must not be read in another.
#[test]
fn tokens_are_those_of_sqlite() {
    use Token::*;
    let cases: &[(&str, &[Token<'_>])] = &[
        ("a_1$ é", &[Word("a_1$"), Word("é")]),
        ("'a''(b' (", &[Value, Open]),
        ("\"a\"\"(\" `a``(` [a(] ]", &[Name, Name, Name, Unknown]),
        ("-- ( '\n)", &[Close]),
        ("/* ( ' */)/*", &[Close, Other, Star]),
        (
            "1.5e+3+.5 0x1e+5 1_0",
            &[Value, Other, Value, Value, Other, Value, Value],
        ),
        ("1.e5(", &[Value, Open]),
        ("x'0aF0' X'' x", &[Value, Value, Word("x")]),
        ("x'0'", &[Unknown]),
        ("?12 ?(:a)", &[Value, Value, Open, Value, Close]),
        (
            "a||b|c->d->>e-f",
            &[
                Word("a"),
                Makes,
                Word("b"),
                Other,
                Word("c"),
                Makes,
                Word("d"),
                Makes,
                Word("e"),
                Other,
                Word("f"),
            ],
        ),
        ("a.*,b", &[Word("a"), Dot, Star, Comma, Word("b")]),
        ("'open", &[Unknown]),
        ("\u{feff}WITH", &[Unknown, Word("WITH")]),
    ];
    for (sql, expected) in cases {
        let tokens: Vec<_> = Tokens::new(sql).take(expected.len()).collect();
        assert_eq!(&tokens, expected, "{sql}");
    }
    // In Tcl, brackets belong to a name; a quote in them would begin no text.
    for sql in ["$a(')", "$a::b(')", "@a('", "#1", "$"] {
        refused(&format!("SELECT {sql}"), UNREADABLE);
    }
}

/// The pieces that statements are made of here, in every order.
const PIECES: &[&str] = &[
    "SELECT", "1", "'a'", "''", "'", "\"b\"", "[c]", "`d`", "x'00'", "x", "(", ")", ",", ".", "*",
    "||", "|", "->", "->>", "-", "--", "\n", "/*", "*/", "/", " ", "?1", ":a", "$b", "@c", "0x1f",
    "1e", "+", "1.5", "AS", "FROM", "WITH", "é", "\u{feff}", ";", "#", "]", "1_0", "<>", "\0",
    "e5",
];

fn random(seed: &mut u64) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap()
}

/// If the tokens are those of SQLite, then it says the same of a text with every space
/// and comment between them replaced.
#[test]
fn sqlite_splits_random_texts_in_the_same_places() {
    let connection = Connection::open_in_memory().unwrap();
    let answer = |sql: &str| match connection.prepare(sql) {
        Ok(_) => "fine".to_owned(),
        Err(rusqlite::Error::SqlInputError { msg, .. }) => msg,
        Err(error) => error.to_string(),
    };
    let mut seed = 7;
    let mut compared = 0;
    for _ in 0..30_000 {
        let mut sql = String::from("SELECT ");
        for _ in 0..random(&mut seed) % 9 {
            sql.push_str(PIECES[random(&mut seed) % PIECES.len()]);
        }
        let _ = statement(&sql);
        let _ = definition(&sql);
        let mut tokens = Tokens::new(&sql);
        let mut spaced = String::new();
        let mut known = !sql.contains('\0');
        loop {
            tokens.skip_space();
            let before = tokens.rest();
            let Some(token) = tokens.next() else { break };
            known &= token != Token::Unknown;
            spaced.push_str(&before[..before.len() - tokens.rest().len()]);
            spaced.push_str(" /* ' */ ");
        }
        if known {
            compared += 1;
            assert_eq!(answer(&sql), answer(&spaced), "{sql:?} {spaced:?}");
        }
    }
    assert!(compared > 3000, "{compared}");
}

#[test]
fn what_a_store_needs_is_allowed() {
    for sql in [
        "WITH RECURSIVE path (seq, parent, length) AS (
            SELECT seq, parent, 1 FROM nodes WHERE id = ?1 AND dead = 0 UNION ALL
            SELECT node.seq, node.parent, path.length + 1
            FROM path JOIN nodes AS node ON node.seq = path.parent
            WHERE node.dead = 0 AND path.length < ?2)
         SELECT node.seq, node.id, node.parent, node.body, node.dead, node.prompt
         FROM path JOIN nodes AS node ON node.seq = path.seq",
        "SELECT kind, count(*), sum(length), sum(octet_length(content)), max(a), min(b)
         FROM blobs NOT INDEXED GROUP BY kind ORDER BY kind",
        "SELECT * FROM (SELECT a.*, b.x FROM a LEFT JOIN b USING (id) WHERE a.id IN (?1, ?2))
         WHERE NOT EXISTS (SELECT 1 FROM c WHERE c.id = x)",
        "INSERT INTO t (a, b) VALUES (?1, ?2) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
        "CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id = 1), a VARCHAR(20) DEFAULT 'x',
            b REAL DEFAULT -1.5 NOT NULL, UNIQUE (a, b), FOREIGN KEY (a) REFERENCES u (a))
         WITHOUT ROWID",
        "CREATE INDEX i ON t (a, max(b, c))",
        "CREATE UNIQUE INDEX i ON t (a, b DESC) WHERE a IS NOT NULL AND b <> 0",
    ] {
        assert!(statement(sql).is_ok(), "{sql}: {:?}", statement(sql));
    }
    let many = vec!["?"; 1000].join(", ");
    assert_eq!(
        statement(&format!("SELECT a FROM t WHERE a IN ({many})")),
        Ok(None)
    );
    let rows = vec!["(?, ?, ?, ?)"; 250].join(", ");
    assert_eq!(
        statement(&format!("INSERT INTO t (a, b, c, d) VALUES {rows}")),
        Ok(None)
    );
}

/// SQLite recurses for each of these, and a thread has an end.
#[test]
fn deep_statements_are_refused() {
    let nested = |levels| format!("SELECT {}1{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(statement(&nested(NESTING)), Ok(None));
    refused(&nested(NESTING + 1), TOO_DEEP);
    let queries = "SELECT*FROM(SELECT 1 UNION ".repeat(2250) + "SELECT 1" + &")".repeat(2250);
    assert!(statement(&queries).is_err());
}

/// Each of these doubles with every level, or grows with the square of the text.
#[test]
fn statements_that_copy_themselves_are_refused() {
    let mut tables = String::from("WITH c0 AS (SELECT 1 AS a)");
    let mut nested = String::from("SELECT a FROM t");
    let mut windows = String::from("SELECT a FROM t");
    for level in 1..13 {
        tables += &format!(
            ", c{level} AS (SELECT 1 AS a FROM c{} x, c{0} y)",
            level - 1
        );
        nested = format!("SELECT a + a AS a FROM ({nested})");
        windows = format!("SELECT a || a a FROM({windows})");
    }
    assert!(statement(&(tables + " SELECT * FROM c12")).is_err());
    let scalars = "(SELECT a FROM t), ".repeat(12);
    refused(&format!("SELECT {scalars} 1"), TOO_COMPLEX);
    refused(&nested, TOO_COMPLEX);
    assert!(statement(&windows).is_err());
    let ones = "1,".repeat(8000) + "1";
    let names = "a,".repeat(2000) + "a";
    refused(
        &format!("SELECT 1 IN ({ones}) AS a FROM t WHERE 1 IN ({names})"),
        TOO_COMPLEX,
    );
    refused(
        &format!("SELECT {}1 FROM t", "*,".repeat(4000)),
        TOO_COMPLEX,
    );
    let arms = "SELECT 1 UNION ALL ".repeat(49) + "SELECT 1";
    let queries = format!("({arms}), ").repeat(6) + "t";
    refused(&format!("SELECT 1 FROM {queries}"), TOO_COMPLEX);
}

#[test]
fn many_values_at_a_time_are_refused() {
    for value in [
        "?1 || 0",
        "hex(?1)",
        "\"hex\"(?1)",
        "CAST(?1 AS TEXT)",
        "?1 -> 0",
    ] {
        let sql = |count| format!("SELECT {}", vec![value; count].join(", "));
        assert_eq!(statement(&sql(VALUES)), Ok(None));
        refused(&sql(VALUES + 1), MANY_VALUES);
    }
    for table in ["t, ", "t JOIN ", "(SELECT 1), "] {
        let many = table.repeat(SOURCES) + "t";
        assert!(
            statement(&format!("SELECT 1 FROM {many}")).is_err(),
            "{table}"
        );
    }
    refused(
        &format!("SELECT 1 FROM {}t", "t, ".repeat(SOURCES)),
        MANY_SOURCES,
    );
}

/// What a table computes, every statement that writes to it computes again.
#[test]
fn definitions_do_not_compute() {
    for (sql, refusal) in [
        ("CREATE TABLE t (a DEFAULT (instr(1, 2)))", COMPUTES),
        ("CREATE TABLE t (a DEFAULT /* */ (1))", COMPUTES),
        (";;CREATE TABLE t (a DEFAULT (1))", COMPUTES),
        ("EXPLAIN CREATE TABLE t (a DEFAULT (1))", COMPUTES),
        ("CREATE TABLE t (a, b AS (a + a))", COMPUTES),
        (
            "CREATE TABLE t (a, b GENERATED ALWAYS AS (a + a) STORED)",
            COMPUTES,
        ),
        ("CREATE TABLE t (a, CHECK (hex(a) > 1))", COMPUTES),
        ("CREATE TABLE t (a, CHECK (a LIKE 'x'))", COMPUTES),
        ("CREATE TABLE t (a, CHECK (a || a > 1))", COMPUTES),
        ("CREATE TABLE t AS SELECT 1", COMPUTES),
        ("CREATE INDEX i ON t (hex(a))", COMPUTES),
        ("CREATE INDEX i ON t (a) WHERE hex(a) > 1", COMPUTES),
        ("CREATE INDEX i ON t (a) WHERE max(a, b) > 1", COMPUTES),
        ("CREATE INDEX i ON t (max(hex(a), b))", COMPUTES),
        ("CREATE TABLE t (a REFERENCES u ON DELETE CASCADE)", ACTS),
        ("CREATE TABLE t (a REFERENCES u ON UPDATE SET NULL)", ACTS),
        ("CREATE VIEW v AS SELECT 1", OTHER_OBJECT),
        (
            "CREATE TEMP TRIGGER g DELETE ON t BEGIN SELECT 1; END",
            OTHER_OBJECT,
        ),
        ("CREATE VIRTUAL TABLE f USING fts5 (a)", OTHER_OBJECT),
        ("CREATE", OTHER_OBJECT),
    ] {
        refused(sql, refusal);
        assert_eq!(definition(sql), Err(refusal), "{sql}");
    }
    assert_eq!(definition("nothing of the kind"), Err(OTHER_OBJECT));
}
