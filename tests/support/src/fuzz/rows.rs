//! The component's logic on a host that lies: a query answers what the input says instead of
//! the rows that are there, and a statement any number of changed rows.
//!
//! There may be any answer, but no panic, and memory in proportion to what the host handed
//! over.

use std::cell::RefCell;

use lash_wasm_store_guest::bindings::sqlite::Error;
use lash_wasm_store_guest::seam::{Environment, Rows, Transaction, TransactionMode, Value};

use super::input::Input;
use super::wit_arguments::{Calls, KINDS};

pub(super) fn run(data: &[u8]) {
    #[cfg(fuzzing)]
    lash_wasm_store_guest::fuzzing::accept_any_checksum();
    // A third says what is there, a third is lies, and a third what is asked.
    let mut chunks = data.chunks(data.len().div_ceil(3).max(1));
    let mut part = || Input::new(chunks.next().unwrap_or_default());
    let (mut honest, lies, mut asked) = (part(), part(), part());

    let kind = honest.pick(&KINDS);
    let env = kind.open();
    let mut calls = Calls::default();
    while honest.more() {
        kind.call(&env, &mut honest, &mut calls);
    }
    let env = Lying {
        inner: env,
        lies: RefCell::new(lies),
    };
    let _ = kind.verify(&env);
    while asked.more() && env.lies.borrow().more() {
        kind.call(&env, &mut asked, &mut calls);
    }
}

struct Lying<'l, E> {
    inner: E,
    lies: RefCell<Input<'l>>,
}

struct LyingTransaction<'e, 'l, T> {
    inner: T,
    lies: &'e RefCell<Input<'l>>,
}

impl<'l, E: Environment> Environment for Lying<'l, E> {
    type Transaction<'a>
        = LyingTransaction<'a, 'l, E::Transaction<'a>>
    where
        Self: 'a;

    fn begin(&self, mode: TransactionMode) -> Result<Self::Transaction<'_>, Error> {
        Ok(LyingTransaction {
            inner: self.inner.begin(mode)?,
            lies: &self.lies,
        })
    }

    fn now_ms(&self) -> i64 {
        self.inner.now_ms()
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }
}

impl<T> LyingTransaction<'_, '_, T> {
    fn changed(&self, truth: u64) -> u64 {
        let mut lies = self.lies.borrow_mut();
        match lies.byte() {
            0..200 => truth,
            _ => lies.number(),
        }
    }
}

impl<T: Transaction> Transaction for LyingTransaction<'_, '_, T> {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        Ok(self.changed(self.inner.execute(sql, params)?))
    }

    fn execute_many(&self, sql: &str, rows: &[&[Value<'_>]]) -> Result<u64, Error> {
        Ok(self.changed(self.inner.execute_many(sql, rows)?))
    }

    fn query(&self, sql: &str, params: &[Value<'_>]) -> Result<Rows, Error> {
        let rows = self.inner.query(sql, params)?;
        Ok(lie(rows, &mut self.lies.borrow_mut()))
    }

    fn commit(self) -> Result<(), Error> {
        self.inner.commit()
    }
}

/// What is answered instead of the rows.
fn lie(mut rows: Rows, lies: &mut Input<'_>) -> Rows {
    match lies.byte() {
        0..96 => {}
        96..112 => rows.count = lies.number() as u32,
        112..128 => rows.cells.truncate(lies.below(rows.cells.len() + 1)),
        128..192 => {
            for _ in 0..=lies.below(4) {
                let at = lies.below(rows.cells.len());
                if let Some(byte) = rows.cells.get_mut(at) {
                    *byte = lies.byte();
                }
            }
        }
        192..248 => {
            rows.count = lies.below(4) as u32;
            rows.cells.clear();
            for _ in 0..lies.below(24) {
                value(&mut rows.cells, lies);
            }
        }
        _ => {
            rows.count = lies.below(4) as u32;
            let length = lies.below(256);
            rows.cells = lies.take(length);
        }
    }
    rows
}

/// Appends a value, packed as the WIT record `sqlite.rows` says.
fn value(cells: &mut Vec<u8>, lies: &mut Input<'_>) {
    let tag = lies.below(6) as u8;
    cells.push(tag);
    let bytes = match tag {
        0 => return,
        1 | 2 => return cells.extend_from_slice(&lies.number().to_le_bytes()),
        3 => lies.name().into_bytes(),
        _ => lies.bytes(),
    };
    cells.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    cells.extend_from_slice(&bytes);
}
