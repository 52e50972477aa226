//! The text of statements, put together while the program is compiled.

/// Concatenates constant texts.
macro_rules! sql {
    ($($part:expr),+ $(,)?) => {{
        const PARTS: &[&str] = &[$($part),+];
        const BYTES: [u8; $crate::storage::sql::length(PARTS)] =
            $crate::storage::sql::concatenate(PARTS);
        const TEXT: &str = $crate::storage::sql::text(&BYTES);
        TEXT
    }};
}
pub(crate) use sql;

/// What an upsert sets: each of these columns to the value that was to be inserted.
macro_rules! excluded {
    ($first:ident $(, $column:ident)*) => {
        concat!(
            stringify!($first), " = excluded.", stringify!($first)
            $(, ", ", stringify!($column), " = excluded.", stringify!($column))*
        )
    };
}
pub(crate) use excluded;

pub(crate) const fn length(mut parts: &[&str]) -> usize {
    let mut length = 0;
    while let [part, rest @ ..] = parts {
        length += part.len();
        parts = rest;
    }
    length
}

#[expect(clippy::indexing_slicing, reason = "the compiler runs it")]
pub(crate) const fn concatenate<const N: usize>(mut parts: &[&str]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut length = 0;
    while let [part, rest @ ..] = parts {
        let mut left = part.as_bytes();
        while let [byte, others @ ..] = left {
            bytes[length] = *byte;
            length += 1;
            left = others;
        }
        parts = rest;
    }
    bytes
}

pub(crate) const fn text(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// `?1, ?2` and so on, up to 20.
pub(crate) const fn placeholders(count: usize) -> &'static str {
    const ALL: &str = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
                       ?17, ?18, ?19, ?20";
    let length = match count {
        0..10 => count * 4 - 2,
        _ => (count - 9) * 5 + 34,
    };
    ALL.split_at(length).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_put_together() {
        const SQL: &str = sql!("VALUES (", placeholders(3), ")");
        assert_eq!(SQL, "VALUES (?1, ?2, ?3)");
        assert_eq!(placeholders(1), "?1");
        assert!(placeholders(9).ends_with(", ?9"));
        assert!(placeholders(10).ends_with(", ?9, ?10"));
        assert!(placeholders(20).ends_with(", ?20"));
        assert_eq!(excluded!(a), "a = excluded.a");
        assert_eq!(excluded!(a, b), "a = excluded.a, b = excluded.b");
    }
}
