//! The work queue: durable ingress with leased claims.
//!
//! A claim is proved by its random lease token; the fencing token says which of
//! two claims of a batch is the later one. A lease that expired is void only once
//! somebody else has claimed: until then its owner may still complete.

mod completed;
mod export;
mod import;
mod row;
pub mod selection;
mod verify;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::{
    Batch, BatchDraft, BatchPage, ClaimRequest, Completion, HeldClaim,
};
use crate::bindings::types::ByteStrings;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, corrupt, invalid, verify_complete};
use crate::storage::numbers;
use crate::storage::pack;
use crate::storage::paging::{Cursor, ItemPage, List, Numbered};
use crate::storage::rows::{RowReader, capacity, read_all, read_one};
use crate::storage::seam::{Environment, Transaction, Value, clamp, unsigned};
use crate::storage::sql::sql;
use crate::storage::token;

pub(crate) use completed::forget as forget_completed;
pub(crate) use export::{export, export_completed};
pub use import::add;
use row::BatchRow;
use selection::claimed_prefix;
pub(crate) use verify::verify_all;

/// How many batches one query reads.
const PAGE: u32 = 64;

/// How `list` reads the queue.
const BATCHES: Numbered = Numbered {
    table: BatchRow::TABLE,
    lengths: None,
    rows: row::BATCHES_FROM,
};

/// What a batch takes of a page, without its payloads, in bytes.
const BATCH_BYTES: usize = 512;

/// How many batches from the front of the queue a claim looks at first, ready or not:
/// what it takes is mostly there.
const FRONT: i64 = 8;

/// Up to how many batches the whole queue is read and checked, instead of what an
/// index leads to. A damaged index could hide a batch; a queue that is deeper is
/// read through the indexes all the same, because a claim must not cost more the
/// more is waiting. `list` checks a queue of any depth.
const SHALLOW: u64 = 64;

/// The WIT function `queue.enqueue`.
pub fn enqueue(env: &impl Environment, draft: BatchDraft) -> Result<Batch> {
    let packed = pack::pack(&draft.payloads);
    let mut session = SessionTransaction::write_durably(env)?;
    if let Some(source_key) = draft.source_key.as_deref() {
        if let Some(row) = find_source(&session, &draft.session_id, source_key)? {
            let payloads = row::load_payloads(&session.tx, row.seq)?;
            return Ok(row.into_batch(payloads));
        }
        if let Some(row) = completed::find(&session.tx, &draft, source_key, &packed)? {
            return Ok(row.into_batch(ByteStrings::from_iter(draft.payloads)));
        }
    }
    let next = &mut session.digests.next_batch;
    let seq = numbers::give_out(next, "the numbers for batches")?;
    let row = BatchRow {
        seq,
        batch_id: format!("qwb:{}", token::random_hex(env, 4)),
        session_id: draft.session_id,
        source_key: draft.source_key,
        delivery: draft.delivery,
        slot: draft.slot,
        merge_key: draft.merge_key,
        available_at_ms: clamp(draft.available_at_ms),
        enqueued_at_ms: env.now_ms(),
        claim_id: None,
        lease_token: None,
        fencing_token: 0,
        lease_expires_ms: 0,
    };
    row.insert(&session.tx)?;
    row::insert_payloads(&session.tx, row.seq, &packed)?;
    session.digests.batches.insert(row.checksum());
    session.commit()?;
    Ok(row.into_batch(ByteStrings::from_iter(draft.payloads)))
}

/// All batches, in order, with their checksums; an error if one is missing.
fn load_all<T: Transaction>(session: &SessionTransaction<T>) -> Result<Vec<(BatchRow, i64)>> {
    let rows = session
        .tx
        .query(sql!(BatchRow::SELECT, "NOT INDEXED ORDER BY seq"), &[])?;
    let mut reader = RowReader::new(BatchRow::TABLE, &rows);
    let mut found = SetDigest::default();
    let mut batches = Vec::with_capacity(capacity(&rows));
    while reader.advance() {
        let (row, checksum) = BatchRow::read_with_checksum(&mut reader)?;
        found.insert(checksum);
        batches.push((row, checksum));
    }
    let expected = session.digests.batches;
    verify_complete(BatchRow::TABLE, found, expected)?;
    Ok(batches)
}

fn is_shallow<T: Transaction>(session: &SessionTransaction<T>) -> bool {
    session.digests.batches.count <= SHALLOW
}

fn find_source<T: Transaction>(
    session: &SessionTransaction<T>,
    session_id: &str,
    source_key: &str,
) -> Result<Option<BatchRow>> {
    if is_shallow(session) {
        let found = load_all(session)?.into_iter().find(|(row, _)| {
            row.session_id == session_id && row.source_key.as_deref() == Some(source_key)
        });
        return Ok(found.map(|(row, _)| row));
    }
    let rows = session.tx.query(
        sql!(
            BatchRow::SELECT,
            "WHERE session_id = ?1 AND source_key = ?2"
        ),
        &[Value::Text(session_id), Value::Text(source_key)],
    )?;
    read_one(BatchRow::TABLE, &rows, |reader| {
        let (row, _) = BatchRow::read_with_checksum(reader)?;
        let found = row.session_id == session_id && row.source_key.as_deref() == Some(source_key);
        confirm_found(BatchRow::TABLE, source_key, found)?;
        Ok(row)
    })
}

fn is_ready(row: &BatchRow, request: &ClaimRequest, now_ms: i64) -> bool {
    row.session_id == request.session_id
        && row.available_at_ms <= now_ms
        && row.lease_expires_ms <= now_ms
}

/// The batches that a claim made now would take, with their checksums.
fn claimable<T: Transaction>(
    session: &SessionTransaction<T>,
    request: &ClaimRequest,
    now_ms: i64,
) -> Result<Vec<(BatchRow, i64)>> {
    if is_shallow(session) {
        let mut ready = load_all(session)?;
        ready.retain(|(row, _)| is_ready(row, request, now_ms));
        truncate_to_claim(&mut ready, request);
        return Ok(ready);
    }
    let mut ready = front(session)?;
    ready.retain(|(row, _)| is_ready(row, request, now_ms));
    let found = ready.len();
    truncate_to_claim(&mut ready, request);
    if ready.len() < found || ready.len() as u64 == request.max_batches {
        return Ok(ready);
    }
    ready.clear();
    loop {
        let last = ready.last().map_or(0, |(row, _)| row.seq);
        let page = ready_page(&session.tx, request, now_ms, last)?;
        let is_last = page.len() < PAGE as usize;
        ready.extend(page);
        let read = ready.len();
        truncate_to_claim(&mut ready, request);
        // Only a claim that takes every ready batch could take more.
        if is_last || ready.len() < read {
            return Ok(ready);
        }
    }
}

/// The first batches of the queue.
fn front<T: Transaction>(session: &SessionTransaction<T>) -> Result<Vec<(BatchRow, i64)>> {
    let rows = session.tx.query(
        sql!(BatchRow::SELECT, "NOT INDEXED ORDER BY seq LIMIT ?1"),
        &[Value::Integer(FRONT)],
    )?;
    read_all(BatchRow::TABLE, &rows, BatchRow::read_with_checksum)
}

/// Ready batches behind one of the queue, in order, as many as a page has. The index leads
/// past everything that is not ready, however much that is; it is not in queue order, so all of
/// its entries that are ready are compared, but only those of the page are read.
fn ready_page(
    tx: &impl Transaction,
    request: &ClaimRequest,
    now_ms: i64,
    after: i64,
) -> Result<Vec<(BatchRow, i64)>> {
    let params = [
        Value::Text(&request.session_id),
        Value::Integer(now_ms),
        Value::Integer(after),
        Value::Integer(i64::from(PAGE)),
    ];
    let rows = tx.query(
        sql!(
            BatchRow::SELECT,
            "WHERE seq IN (
                 SELECT seq FROM queued_batches INDEXED BY queued_batches_ready
                 WHERE session_id = ?1 AND max(available_at_ms, lease_expires_ms) <= ?2
                   AND seq > ?3 ORDER BY seq LIMIT ?4)
             ORDER BY seq"
        ),
        &params,
    )?;
    read_all(BatchRow::TABLE, &rows, |reader| {
        let (row, checksum) = BatchRow::read_with_checksum(reader)?;
        confirm_found(BatchRow::TABLE, row.seq, is_ready(&row, request, now_ms))?;
        Ok((row, checksum))
    })
}

/// Leaves of the ready batches, in queue order, those that one claim takes.
fn truncate_to_claim(ready: &mut Vec<(BatchRow, i64)>, request: &ClaimRequest) {
    let taken = claimed_prefix(
        ready.iter().map(|(row, _)| row.candidate()),
        request.boundary,
        request.max_batches,
    );
    ready.truncate(taken);
}

/// The WIT function `queue.claim`.
pub fn claim(env: &impl Environment, request: ClaimRequest) -> Result<Option<HeldClaim>> {
    // Most calls find nothing; they must not take the write lock to learn it.
    let snapshot = SessionTransaction::read(env)?;
    if snapshot.digests.batches.count == 0
        || claimable(&snapshot, &request, env.now_ms())?.is_empty()
    {
        return Ok(None);
    }
    drop(snapshot);

    let mut session = SessionTransaction::write(env)?;
    let now_ms = env.now_ms();
    let mut taken = claimable(&session, &request, now_ms)?;
    let wanted = request.exactly.as_ref().is_none_or(|batch_ids| {
        batch_ids
            .iter()
            .eq(taken.iter().map(|(row, _)| &row.batch_id))
    });
    let Some((first, _)) = taken.first().filter(|_| wanted) else {
        return Ok(None);
    };
    let highest = taken
        .iter()
        .map(|(row, _)| unsigned(row.fencing_token))
        .max();
    let mut next = highest.unwrap_or(0).saturating_add(1);
    let fencing_token = numbers::give_out(&mut next, "the fencing tokens of a batch")?;
    let claim_id = format!("qwc:{}:{fencing_token}", first.seq);
    let lease_token = token::random(env);
    let expires_at_ms = now_ms.saturating_add(clamp(request.lease_ttl_ms));
    for (row, _) in &mut taken {
        row.claim_id = Some(claim_id.clone());
        row.lease_token = Some(lease_token.clone());
        row.fencing_token = fencing_token;
        row.lease_expires_ms = expires_at_ms;
    }
    store_claims(&mut session, &taken)?;
    let mut payloads = row::load_claimed(&session.tx, &claim_id)?;
    let batches = taken.into_iter().map(|(row, _)| {
        let payloads = row::unpack(row.seq, &payloads.take(row.seq)?)?;
        Ok(row.into_batch(payloads))
    });
    let batches = batches.collect::<Result<Vec<Batch>>>()?;
    session.commit()?;
    Ok(Some(HeldClaim {
        session_id: request.session_id,
        id: claim_id,
        owner_id: request.owner_id,
        lease_token,
        fencing_token: unsigned(fencing_token),
        claimed_at_ms: unsigned(now_ms),
        expires_at_ms: unsigned(expires_at_ms),
        batches,
    }))
}

/// Writes the claims of batches that had the given checksums.
fn store_claims<T: Transaction>(
    session: &mut SessionTransaction<T>,
    batches: &[(BatchRow, i64)],
) -> Result<()> {
    row::update_claims(&session.tx, batches)?;
    for (row, old_checksum) in batches {
        session.digests.batches.remove(*old_checksum);
        session.digests.batches.insert(row.checksum());
    }
    Ok(())
}

/// The batches of a claim that somebody holds, in queue order, with their checksums.
fn batches_of_claim(tx: &impl Transaction, held: &Completion) -> Result<Vec<(BatchRow, i64)>> {
    let rows = tx.query(
        sql!(BatchRow::SELECT, "WHERE claim_id = ?1 ORDER BY seq"),
        &[Value::Text(&held.claim_id)],
    )?;
    let mut batches = read_all(BatchRow::TABLE, &rows, |reader| {
        let (row, checksum) = BatchRow::read_with_checksum(reader)?;
        let found = row.claim_id.as_deref() == Some(&held.claim_id);
        confirm_found(BatchRow::TABLE, &held.claim_id, found)?;
        Ok((row, checksum))
    })?;
    batches.retain(|(row, _)| row.is_held_by(&held.session_id, &held.claim_id, &held.lease_token));
    Ok(batches)
}

/// The batches of a claim that is held on exactly the batches it names, in queue
/// order; none if it is not.
fn held_batches(tx: &impl Transaction, held: &Completion) -> Result<Option<Vec<(BatchRow, i64)>>> {
    let batches = batches_of_claim(tx, held)?;
    let found: BTreeSet<&str> = batches
        .iter()
        .map(|(row, _)| row.batch_id.as_str())
        .collect();
    let named: BTreeSet<&str> = held.batch_ids.iter().map(String::as_str).collect();
    let exactly = named.len() == held.batch_ids.len() && named == found;
    Ok(exactly.then_some(batches))
}

/// What a commit completes: the batches of all its claims and their checksums,
/// by sequence.
pub(crate) type CompletedBatches = BTreeMap<i64, (BatchRow, i64)>;

/// Checks that every completion is held on exactly the batches that it names;
/// returns the first that is not.
pub(crate) fn check_completions(
    tx: &impl Transaction,
    session_id: &str,
    completions: &[Completion],
) -> Result<core::result::Result<CompletedBatches, Completion>> {
    let mut completed = CompletedBatches::new();
    let mut named = 0;
    for completion in completions {
        let held = match completion.session_id == session_id {
            true => held_batches(tx, completion)?,
            false => None,
        };
        let Some(held) = held else {
            return Ok(Err(completion.clone()));
        };
        named += held.len();
        completed.extend(held.into_iter().map(|batch| (batch.0.seq, batch)));
    }
    if named != completed.len() {
        return Err(invalid("a claim is completed twice"));
    }
    Ok(Ok(completed))
}

/// Removes completed batches from the queue.
pub(crate) fn complete<T: Transaction>(
    session: &mut SessionTransaction<T>,
    completed: CompletedBatches,
    now_ms: i64,
) -> Result<()> {
    completed::remember(&session.tx, &completed, now_ms)?;
    row::delete(&session.tx, completed.keys())?;
    for (_, checksum) in completed.into_values() {
        session.digests.batches.remove(checksum);
    }
    Ok(())
}

/// The WIT function `queue.renew`.
pub fn renew(env: &impl Environment, held: &Completion, lease_ttl_ms: u64) -> Result<Option<u64>> {
    let mut session = SessionTransaction::write(env)?;
    let expires_at_ms = env.now_ms().saturating_add(clamp(lease_ttl_ms));
    let Some(mut batches) = held_batches(&session.tx, held)? else {
        return Ok(None);
    };
    for (row, _) in &mut batches {
        row.lease_expires_ms = expires_at_ms;
    }
    store_claims(&mut session, &batches)?;
    session.commit()?;
    Ok(Some(unsigned(expires_at_ms)))
}

/// The WIT function `queue.abandon`.
pub fn abandon(env: &impl Environment, held: &Completion) -> Result<u64> {
    let mut session = SessionTransaction::write(env)?;
    let mut batches = batches_of_claim(&session.tx, held)?;
    batches.retain(|(row, _)| held.batch_ids.contains(&row.batch_id));
    for (row, _) in &mut batches {
        row.claim_id = None;
        row.lease_token = None;
        row.lease_expires_ms = 0;
    }
    store_claims(&mut session, &batches)?;
    session.commit()?;
    Ok(batches.len() as u64)
}

/// The WIT function `queue.cancel`.
pub fn cancel(env: &impl Environment, session_id: &str, batch_id: &str) -> Result<Option<Batch>> {
    let mut session = SessionTransaction::write_durably(env)?;
    let now_ms = env.now_ms();
    match row::find(&session.tx, batch_id)? {
        Some((row, checksum)) if row.session_id == session_id && row.lease_expires_ms <= now_ms => {
            let payloads = row::load_payloads(&session.tx, row.seq)?;
            row::delete(&session.tx, [&row.seq])?;
            session.digests.batches.remove(checksum);
            session.commit()?;
            Ok(Some(row.into_batch(payloads)))
        }
        None if is_shallow(&session) => {
            let known = load_all(&session)?
                .iter()
                .any(|(row, _)| row.batch_id == batch_id);
            match known {
                true => Err(corrupt(
                    BatchRow::TABLE,
                    batch_id,
                    "the index does not know the row",
                )),
                false => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// The WIT function `queue.list`.
pub fn list(
    env: &impl Environment,
    session_id: &str,
    pending_only: bool,
    cursor: Option<&[u8]>,
) -> Result<BatchPage> {
    let session = SessionTransaction::read(env)?;
    let now_ms = pending_only.then(|| env.now_ms());
    let is_listed = |row: &BatchRow| {
        row.session_id == session_id && now_ms.is_none_or(|now_ms| row.lease_expires_ms <= now_ms)
    };
    let arguments = [session_id.as_bytes(), &[pending_only.into()]];
    let list = List::of("queue.list", &arguments, &[session.digests.batches]);
    let mut cursor = Cursor::resume(cursor, &list)?;
    let mut page = ItemPage::new();
    let tx = &session.tx;
    let ended = BATCHES.read(tx, &mut cursor, &mut page, &mut |cursor, page, reader| {
        let (row, checksum) = BatchRow::read_with_checksum(reader)?;
        cursor.found.insert(checksum);
        if is_listed(&row) {
            let payloads = row::load_payloads(tx, row.seq)?;
            let bytes = payloads.bytes.len() + BATCH_BYTES;
            page.add(row.into_batch(payloads), bytes);
        }
        Ok(())
    })?;
    Ok(BatchPage {
        batches: page.into_items(),
        next: cursor.finish(BatchRow::TABLE, session.digests.batches, ended)?,
    })
}
