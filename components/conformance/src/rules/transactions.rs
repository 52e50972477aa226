//! When a transaction begins, ends, and what others see of it.

use alloc::string::String;
use core::mem::forget;
use core::sync::atomic::{AtomicU32, Ordering};

use super::Run::{Plain, Reopened, Trapping};
use super::{Check, Outcome};
use crate::bindings::lash::store::sqlite::{
    Database, ErrorCode, Rows, Transaction, TransactionMode,
};
use crate::expect::{
    begin, commit, committed, elsewhere, execute, holds, integer, lock_is_free, read_integer,
    refused, same,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "commit-is-seen",
        statement: "What is committed is seen by every transaction that begins later, on any \
            connection.",
        steps: &[Plain(commit_and_look), Plain(one_row)],
    },
    Check {
        name: "commit-survives-reopening",
        statement: "What is committed is seen by every transaction that begins later, on any \
            connection.",
        steps: &[Plain(commit_durably), Reopened(one_row)],
    },
    Check {
        name: "drop-rolls-back",
        statement: "Dropping it without `commit`, a trap, and the end of the exported call all \
            MUST roll it back before anybody else uses the connection.",
        steps: &[Plain(drop_it)],
    },
    Check {
        name: "end-of-call-rolls-back",
        statement: "Dropping it without `commit`, a trap, and the end of the exported call all \
            MUST roll it back before anybody else uses the connection.",
        steps: &[Plain(leave_it_open), Plain(nothing_is_left)],
    },
    Check {
        name: "trap-rolls-back",
        statement: "Dropping it without `commit`, a trap, and the end of the exported call all \
            MUST roll it back before anybody else uses the connection.",
        steps: &[Trapping(leave_it_open), Plain(nothing_is_left)],
    },
    Check {
        name: "stale-transaction-is-misuse",
        statement: "A handle that is left over from an earlier call refers to nothing: using it \
            is `misuse`, and dropping it has no effect.",
        steps: &[Plain(keep_first), Plain(keep_second), Plain(use_kept)],
    },
    Check {
        name: "write-locks-at-begin",
        statement: "A write transaction holds the write lock from its start",
        steps: &[Plain(lock_from_the_start)],
    },
    Check {
        name: "write-returns-busy",
        statement: "the embedder MUST wait for the lock up to its busy timeout and then return \
            `busy`.",
        steps: &[Plain(busy)],
    },
    Check {
        name: "read-does-not-wait",
        statement: "It MUST NOT wait for a writer,",
        steps: &[Plain(read_beside_a_writer)],
    },
    Check {
        name: "commit-does-not-wait",
        statement: "and a commit MUST NOT wait for it.",
        steps: &[
            Plain(commit_beside_a_reader),
            Reopened(commit_beside_a_reader),
        ],
    },
    Check {
        name: "read-sees-one-snapshot",
        statement: "Reads from one snapshot, that of its first statement at the latest.",
        steps: &[Plain(snapshot)],
    },
    Check {
        name: "read-does-not-write",
        statement: "A statement that would change something fails with `read-only`.",
        steps: &[Plain(write_while_reading)],
    },
    Check {
        name: "second-transaction-is-misuse",
        statement: "Opening a second transaction on a database while one is open is `misuse`.",
        steps: &[Plain(second_transaction)],
    },
    Check {
        name: "transactions-follow-each-other",
        statement: "Within the call any number of transactions may follow each other.",
        steps: &[Plain(several_transactions)],
    },
];

const WRITE_MODES: [TransactionMode; 2] = [TransactionMode::Write, TransactionMode::WriteDurable];
const CREATE: &str = "CREATE TABLE t (a INTEGER PRIMARY KEY, b)";
const INSERT: &str = "INSERT INTO t (b) VALUES (7)";
const COUNT: &str = "SELECT count(*) FROM t";

fn commit_and_look(db: &Database) -> Outcome {
    committed(db, CREATE)?;
    committed(db, INSERT)?;
    same(
        "a second connection sees",
        &elsewhere("SELECT b FROM t")?,
        &Some(7),
    )?;
    one_row(db)
}

fn commit_durably(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::WriteDurable)?;
    execute(&tx, CREATE)?;
    execute(&tx, INSERT)?;
    commit(tx)
}

fn one_row(db: &Database) -> Outcome {
    same("committed rows", &read_integer(db, COUNT)?, &1)
}

fn drop_it(db: &Database) -> Outcome {
    committed(db, CREATE)?;
    for mode in WRITE_MODES {
        let tx = begin(db, mode)?;
        execute(&tx, INSERT)?;
        drop(tx);
        holds(
            "the write lock is held after the transaction was dropped",
            lock_is_free(),
        )?;
        same("rows after the drop", &read_integer(db, COUNT)?, &0)?;
    }
    Ok(())
}

fn leave_it_open(db: &Database) -> Outcome {
    committed(db, CREATE)?;
    let tx = begin(db, TransactionMode::Write)?;
    execute(&tx, INSERT)?;
    forget(tx);
    Ok(())
}

fn nothing_is_left(db: &Database) -> Outcome {
    holds(
        "the write lock is held after the call that left a transaction open",
        lock_is_free(),
    )?;
    same(
        "rows of the open transaction",
        &read_integer(db, COUNT)?,
        &0,
    )?;
    committed(db, INSERT)?;
    one_row(db)
}

static FIRST: AtomicU32 = AtomicU32::new(0);
static SECOND: AtomicU32 = AtomicU32::new(0);

fn keep(tx: &Transaction, kept: &AtomicU32) {
    kept.store(tx.take_handle(), Ordering::Relaxed);
}

fn kept(kept: &AtomicU32) -> Transaction {
    // SAFETY: the handle was taken out of a transaction by `keep`, in an earlier
    // call of this instance, and is taken back once.
    unsafe { Transaction::from_handle(kept.load(Ordering::Relaxed)) }
}

fn keep_first(db: &Database) -> Outcome {
    committed(db, CREATE)?;
    keep(&begin(db, TransactionMode::Write)?, &FIRST);
    Ok(())
}

fn keep_second(db: &Database) -> Outcome {
    keep(&begin(db, TransactionMode::Read)?, &SECOND);
    Ok(())
}

fn use_kept(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::Write)?;
    let first = kept(&FIRST);
    let second = kept(&SECOND);
    refused(
        "execute on a transaction of an earlier call",
        ErrorCode::Misuse,
        first.execute(INSERT, &[]),
    )?;
    refused(
        "query on a transaction of an earlier call",
        ErrorCode::Misuse,
        first.query(COUNT, &[]).map(|Rows { count, .. }| count),
    )?;
    drop(first);
    refused(
        "commit of a transaction of an earlier call",
        ErrorCode::Misuse,
        Transaction::commit(second),
    )?;
    execute(&tx, INSERT)?;
    holds(
        "the running transaction lost its lock to a handle of an earlier call",
        !lock_is_free(),
    )?;
    commit(tx)?;
    one_row(db)
}

fn lock_from_the_start(db: &Database) -> Outcome {
    for mode in WRITE_MODES {
        let tx = begin(db, mode)?;
        holds(
            "another connection can take the write lock while a write transaction is open",
            !lock_is_free(),
        )?;
        drop(tx);
    }
    Ok(())
}

fn busy(db: &Database) -> Outcome {
    for mode in WRITE_MODES {
        elsewhere("BEGIN IMMEDIATE")?;
        let begun = db.begin(mode);
        elsewhere("ROLLBACK")?;
        refused(
            "begin while another connection has the write lock",
            ErrorCode::Busy,
            begun,
        )?;
        drop(begin(db, mode)?);
    }
    Ok(())
}

fn commit_beside_a_reader(db: &Database) -> Outcome {
    const COUNT: &str = "SELECT count(*) FROM t";
    committed(db, "CREATE TABLE IF NOT EXISTS t (a)")?;
    elsewhere("BEGIN")?;
    let before = elsewhere(COUNT)?;
    let written = committed(db, "INSERT INTO t VALUES (1)");
    let after = elsewhere(COUNT);
    elsewhere("ROLLBACK")?;
    written?;
    same("the snapshot of a reader", &after?, &before)
}

fn read_beside_a_writer(db: &Database) -> Outcome {
    committed(db, CREATE)?;
    elsewhere("BEGIN IMMEDIATE")?;
    elsewhere(INSERT)?;
    let rows: Result<i64, String> = read_integer(db, COUNT);
    elsewhere("ROLLBACK")?;
    same("rows beside a writer", &rows?, &0)
}

fn snapshot(db: &Database) -> Outcome {
    committed(db, CREATE)?;
    let tx = begin(db, TransactionMode::Read)?;
    let before = integer(&tx, COUNT)?;
    elsewhere(INSERT)?;
    same(
        "rows in the snapshot after another connection committed one",
        &integer(&tx, COUNT)?,
        &before,
    )?;
    drop(tx);
    one_row(db)
}

fn write_while_reading(db: &Database) -> Outcome {
    committed(db, CREATE)?;
    let tx = begin(db, TransactionMode::Read)?;
    for sql in [INSERT, "CREATE TABLE u (a)", "PRAGMA user_version = 9"] {
        refused(sql, ErrorCode::ReadOnly, tx.execute(sql, &[]))?;
    }
    same("rows", &integer(&tx, COUNT)?, &0)?;
    holds("reading takes the write lock", lock_is_free())
}

fn second_transaction(db: &Database) -> Outcome {
    committed(db, CREATE)?;
    let tx = begin(db, TransactionMode::Write)?;
    for mode in [
        TransactionMode::Read,
        TransactionMode::Write,
        TransactionMode::WriteDurable,
    ] {
        refused("a second begin", ErrorCode::Misuse, db.begin(mode))?;
    }
    execute(&tx, INSERT)?;
    commit(tx)?;
    one_row(db)
}

fn several_transactions(db: &Database) -> Outcome {
    committed(db, CREATE)?;
    drop(begin(db, TransactionMode::Read)?);
    committed(db, INSERT)?;
    let tx = begin(db, TransactionMode::Read)?;
    same("rows", &integer(&tx, COUNT)?, &1)?;
    commit(tx)?;
    let tx = begin(db, TransactionMode::WriteDurable)?;
    execute(&tx, INSERT)?;
    commit(tx)?;
    same("rows", &read_integer(db, COUNT)?, &2)
}
