//! Rows of `subscriptions`, and the ways to find them.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::host_event_types::Subscription;
use crate::storage::checksum;
use crate::storage::corruption::{confirm_found, corrupt};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Rows, Transaction, Value, optional_integer, unsigned};
use crate::storage::sql::sql;
use crate::storage::table::table;

table! {
    /// A subscription.
    #[derive(Clone, Copy)]
    pub(super) struct SubscriptionRow<'r> in "subscriptions", named by seq,
        uncovered (session_identity, source_identity)
    {
        seq: i64,
        scope_id: &'r str,
        session_id: Option<&'r str>,
        name: Option<&'r str>,
        source_type: &'r str,
        source_key: &'r str,
        enabled: bool,
        created_at_ms: i64,
        updated_at_ms: i64,
        content: &'r [u8],
    }
}

/// The rows from a number on, in order.
pub(super) const FROM: &str = sql!(
    SubscriptionRow::SELECT,
    "NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT ?2"
);

impl SubscriptionRow<'_> {
    /// Writes a new row.
    pub(super) fn insert(&self, tx: &impl Transaction) -> Result<()> {
        let values = self.values(
            optional_integer(self.session_id.map(session_identity)),
            Value::Integer(source_identity(self.source_type, self.source_key)),
        );
        tx.execute(SubscriptionRow::INSERT, &values)?;
        Ok(())
    }

    /// Writes whether it is enabled, and since when.
    pub(super) fn update(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "UPDATE subscriptions SET enabled = ?2, updated_at_ms = ?3, checksum = ?4
             WHERE seq = ?1",
            &[
                Value::Integer(self.seq),
                Value::Integer(i64::from(self.enabled)),
                Value::Integer(self.updated_at_ms),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }

    pub(super) fn to_subscription(self) -> Subscription {
        Subscription {
            sequence: unsigned(self.seq),
            content: self.content.to_vec(),
            enabled: self.enabled,
            created_at_ms: unsigned(self.created_at_ms),
            updated_at_ms: unsigned(self.updated_at_ms),
        }
    }
}

/// Subscriptions in the order in which they are returned: by scope, then by the
/// text of their number.
#[derive(Default)]
pub(super) struct Sorted(Vec<((String, String), Subscription)>);

impl Sorted {
    pub(super) fn push(&mut self, row: SubscriptionRow<'_>) {
        let order = (row.scope_id.to_string(), row.seq.to_string());
        self.0.push((order, row.to_subscription()));
    }

    pub(super) fn finish(mut self) -> Vec<Subscription> {
        self.0
            .sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        self.0
            .into_iter()
            .map(|(_, subscription)| subscription)
            .collect()
    }
}

/// A checksum of a session, for the second index of its subscriptions.
pub(super) fn session_identity(session_id: &str) -> i64 {
    checksum::identity("subscriptions.session_identity", &[session_id.as_bytes()])
}

/// A checksum of a source, for the second index of its subscriptions.
pub(super) fn source_identity(source_type: &str, source_key: &str) -> i64 {
    checksum::identity(
        "subscriptions.source_identity",
        &[source_type.as_bytes(), source_key.as_bytes()],
    )
}

/// What a function of this module hands over: the row and its checksum.
type Visitor<'v> = &'v mut dyn FnMut(SubscriptionRow<'_>, i64) -> Result<()>;

/// Visits rows that an index led to, each once; returns their numbers. `expected`
/// says whether a row is one of those that were asked for.
fn visit(
    rows: &Rows,
    expected: &dyn Fn(&SubscriptionRow<'_>) -> bool,
    visitor: Visitor<'_>,
) -> Result<BTreeSet<i64>> {
    let mut reader = RowReader::new(SubscriptionRow::TABLE, rows);
    let mut found = BTreeSet::new();
    while reader.advance() {
        let (row, checksum) = SubscriptionRow::read_with_checksum(&mut reader)?;
        let new = found.insert(row.seq);
        confirm_found(SubscriptionRow::TABLE, row.seq, new && expected(&row))?;
        visitor(row, checksum)?;
    }
    Ok(found)
}

/// A second index must lead to the rows that the first one led to. `sql` selects
/// their numbers by it.
fn confirm_same(
    tx: &impl Transaction,
    key: &str,
    found: &BTreeSet<i64>,
    sql: &str,
    params: &[Value<'_>],
) -> Result<()> {
    let rows = tx.query(sql, params)?;
    let mut reader = RowReader::new(SubscriptionRow::TABLE, &rows);
    let mut same = rows.count as usize == found.len();
    while same && reader.advance() {
        same = found.contains(&reader.integer()?);
    }
    if same {
        Ok(())
    } else {
        Err(corrupt(
            SubscriptionRow::TABLE,
            key,
            "two indexes lead to different rows",
        ))
    }
}

/// Visits a subscription, if there is one with this number.
pub(super) fn by_seq(tx: &impl Transaction, seq: i64, visitor: Visitor<'_>) -> Result<bool> {
    let rows = tx.query(
        sql!(SubscriptionRow::SELECT, "WHERE seq = ?1"),
        &[Value::Integer(seq)],
    )?;
    let found = visit(&rows, &|row: &SubscriptionRow<'_>| row.seq == seq, visitor)?;
    Ok(!found.is_empty())
}

/// There is no subscription with this number; the other index must not know one
/// either.
pub(super) fn confirm_absent(tx: &impl Transaction, seq: i64) -> Result<()> {
    crate::storage::corruption::confirm_absent(
        tx,
        SubscriptionRow::TABLE,
        seq,
        "SELECT 1 FROM subscriptions INDEXED BY subscriptions_seq WHERE seq = ?1 LIMIT 1",
        &[Value::Integer(seq)],
    )
}

/// Visits the subscriptions of a session that are enabled, or those that are not.
pub(super) fn by_session(
    tx: &impl Transaction,
    session_id: &str,
    enabled: bool,
    visitor: Visitor<'_>,
) -> Result<()> {
    let flag = Value::Integer(i64::from(enabled));
    let rows = tx.query(
        sql!(
            SubscriptionRow::SELECT,
            "INDEXED BY subscriptions_session WHERE session_id = ?1 AND enabled = ?2"
        ),
        &[Value::Text(session_id), flag],
    )?;
    let found = visit(
        &rows,
        &|row: &SubscriptionRow<'_>| row.session_id == Some(session_id) && row.enabled == enabled,
        visitor,
    )?;
    confirm_same(
        tx,
        session_id,
        &found,
        "SELECT seq FROM subscriptions INDEXED BY subscriptions_session_identity
         WHERE session_identity = ?1 AND enabled = ?2",
        &[
            Value::Integer(session_identity(session_id)),
            Value::Integer(i64::from(enabled)),
        ],
    )
}

/// Visits the subscriptions to a source that are enabled, or those that are not.
pub(super) fn by_source(
    tx: &impl Transaction,
    source_type: &str,
    source_key: &str,
    enabled: bool,
    visitor: Visitor<'_>,
) -> Result<()> {
    let rows = tx.query(
        sql!(
            SubscriptionRow::SELECT,
            "INDEXED BY subscriptions_source
             WHERE source_type = ?1 AND enabled = ?2 AND source_key = ?3"
        ),
        &[
            Value::Text(source_type),
            Value::Integer(i64::from(enabled)),
            Value::Text(source_key),
        ],
    )?;
    let found = visit(
        &rows,
        &|row: &SubscriptionRow<'_>| {
            row.source_type == source_type && row.source_key == source_key && row.enabled == enabled
        },
        visitor,
    )?;
    confirm_same(
        tx,
        source_key,
        &found,
        "SELECT seq FROM subscriptions INDEXED BY subscriptions_source_identity
         WHERE source_identity = ?1 AND enabled = ?2",
        &[
            Value::Integer(source_identity(source_type, source_key)),
            Value::Integer(i64::from(enabled)),
        ],
    )
}

/// Visits the subscriptions to sources of a type that are enabled, or those that
/// are not.
pub(super) fn by_source_type(
    tx: &impl Transaction,
    source_type: &str,
    enabled: bool,
    visitor: Visitor<'_>,
) -> Result<()> {
    let rows = tx.query(
        sql!(
            SubscriptionRow::SELECT,
            "INDEXED BY subscriptions_source WHERE source_type = ?1 AND enabled = ?2"
        ),
        &[Value::Text(source_type), Value::Integer(i64::from(enabled))],
    )?;
    visit(
        &rows,
        &|row: &SubscriptionRow<'_>| row.source_type == source_type && row.enabled == enabled,
        visitor,
    )?;
    Ok(())
}

/// Visits the subscriptions with a name.
pub(super) fn by_name(tx: &impl Transaction, name: &str, visitor: Visitor<'_>) -> Result<()> {
    let rows = tx.query(
        sql!(
            SubscriptionRow::SELECT,
            "INDEXED BY subscriptions_name WHERE name = ?1"
        ),
        &[Value::Text(name)],
    )?;
    visit(
        &rows,
        &|row: &SubscriptionRow<'_>| row.name == Some(name),
        visitor,
    )?;
    Ok(())
}
