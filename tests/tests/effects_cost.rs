//! What the logic of effects asks of SQLite, seen at its seam to the database.

use std::cell::RefCell;
use std::collections::BTreeSet;

use lash_wasm_store_guest::bindings::exports::lash::store::effects::{
    Acquired, Claim, EffectKey, Known, Recorded, Request,
};
use lash_wasm_store_guest::bindings::lash::store::sqlite::Error;
use lash_wasm_store_guest::effects;
use lash_wasm_store_guest::seam::{Environment, Rows, Transaction, TransactionMode, Value};
use lash_wasm_store_tests::native::{NativeEnvironment, NativeTransaction};

/// Notes what passes the seam.
struct Recorder {
    inner: NativeEnvironment,
    begun: RefCell<Vec<TransactionMode>>,
    statements: RefCell<Vec<String>>,
}

struct Watched<'a> {
    recorder: &'a Recorder,
    inner: NativeTransaction<'a>,
}

impl Recorder {
    fn new() -> Self {
        let inner = NativeEnvironment::memory().unwrap();
        effects::initialize(&inner).unwrap();
        Self {
            inner,
            begun: RefCell::default(),
            statements: RefCell::default(),
        }
    }

    fn note(&self, sql: &str) {
        self.statements.borrow_mut().push(sql.to_owned());
    }

    /// How many transactions that write, and how many statements there were since
    /// the last call.
    fn count(&self) -> (usize, usize) {
        let begun = std::mem::take(&mut *self.begun.borrow_mut());
        let writes = begun
            .iter()
            .filter(|mode| !matches!(mode, TransactionMode::Read));
        let statements = std::mem::take(&mut *self.statements.borrow_mut());
        (writes.count(), statements.len())
    }

    /// The steps by which SQLite executes a statement.
    fn plan(&self, sql: &str) -> Vec<String> {
        let mut statement = self
            .inner
            .connection()
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let parameters = statement.parameter_count();
        let nulls = vec![rusqlite::types::Value::Null; parameters];
        let steps = statement
            .query_map(rusqlite::params_from_iter(nulls), |row| row.get("detail"))
            .unwrap();
        steps.map(Result::unwrap).collect()
    }
}

impl Environment for Recorder {
    type Transaction<'a> = Watched<'a>;

    fn begin(&self, mode: TransactionMode) -> Result<Watched<'_>, Error> {
        self.begun.borrow_mut().push(mode);
        Ok(Watched {
            recorder: self,
            inner: self.inner.begin(mode)?,
        })
    }

    fn now_ms(&self) -> i64 {
        self.inner.now_ms()
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }
}

impl Transaction for Watched<'_> {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        self.recorder.note(sql);
        self.inner.execute(sql, params)
    }

    fn execute_many(&self, sql: &str, rows: &[&[Value<'_>]]) -> Result<u64, Error> {
        self.recorder.note(sql);
        self.inner.execute_many(sql, rows)
    }

    fn query(&self, sql: &str, params: &[Value<'_>]) -> Result<Rows, Error> {
        self.recorder.note(sql);
        self.inner.query(sql, params)
    }

    fn commit(self) -> Result<(), Error> {
        self.inner.commit()
    }
}

fn request(scope: &str, replay_key: &str) -> Request {
    Request {
        key: EffectKey {
            scope: scope.to_owned(),
            replay_key: replay_key.to_owned(),
        },
        envelope_hash: "hash".to_owned(),
    }
}

fn acquire(recorder: &Recorder, request: &Request) -> Claim {
    let owner = "owner".to_owned();
    match effects::acquire(recorder, request.clone(), owner, 60_000, Some(1)).unwrap() {
        Acquired::Claimed(claim) => claim,
        Acquired::Known(known) => panic!("{known:?}"),
    }
}

fn finish(recorder: &Recorder, claim: &Claim) {
    let recorded = Recorded::Outcome(b"outcome".to_vec());
    assert!(effects::finish(recorder, &claim.key, &claim.token, &recorded).unwrap());
}

/// Everything that an effect goes through, and then forgetting it.
fn life(recorder: &Recorder, scope: &str) {
    let effect = request(scope, "a");
    assert!(matches!(
        effects::find(recorder, &effect).unwrap(),
        Known::Nothing
    ));
    let claim = acquire(recorder, &effect);
    effects::renew(recorder, &claim.key, &claim.token, 1000)
        .unwrap()
        .unwrap();
    effects::release(recorder, &claim.key, &claim.token).unwrap();
    finish(recorder, &acquire(recorder, &effect));
    assert!(matches!(
        effects::find(recorder, &effect).unwrap(),
        Known::Finished(_)
    ));
    assert_eq!(effects::generations(recorder, &[claim.key]).unwrap(), [4]);
    assert_eq!(effects::forget_scope(recorder, scope).unwrap(), 1);
    finish(recorder, &acquire(recorder, &effect));
    assert_eq!(effects::prune(recorder, u64::MAX, 8).unwrap(), 1);
}

/// Nothing costs more the more is recorded.
#[test]
fn every_row_is_found_by_an_index() {
    let recorder = Recorder::new();
    life(&recorder, "scope");
    let statements: BTreeSet<String> = recorder.statements.take().into_iter().collect();
    assert!(statements.len() > 8, "{statements:?}");
    for sql in statements {
        for step in recorder.plan(&sql) {
            assert!(
                !step.contains("SCAN") && !step.contains("TEMP B-TREE"),
                "{step}: {sql}"
            );
        }
    }
}

/// P8: a replay of the native crate is a transaction that writes.
#[test]
fn a_replay_reads_once_and_writes_nothing() {
    let recorder = Recorder::new();
    let effect = request("scope", "a");
    let claim = acquire(&recorder, &effect);
    finish(&recorder, &claim);
    recorder.count();
    effects::find(&recorder, &effect).unwrap();
    assert_eq!(recorder.count(), (0, 1));
    effects::generations(&recorder, &[claim.key]).unwrap();
    assert_eq!(recorder.count(), (0, 1));
}

/// The lease can be written again, the result can not.
#[test]
fn only_a_result_waits_for_the_disk() {
    let recorder = Recorder::new();
    let durable = |recorder: &Recorder| {
        let begun = std::mem::take(&mut *recorder.begun.borrow_mut());
        let durable = |mode: &TransactionMode| matches!(mode, TransactionMode::WriteDurable);
        begun.iter().filter(|mode| durable(mode)).count()
    };
    let claim = acquire(&recorder, &request("scope", "a"));
    effects::renew(&recorder, &claim.key, &claim.token, 1000).unwrap();
    effects::release(&recorder, &claim.key, &claim.token).unwrap();
    let claim = acquire(&recorder, &request("scope", "a"));
    assert_eq!(durable(&recorder), 0);
    finish(&recorder, &claim);
    assert_eq!(durable(&recorder), 1);
}

/// What a caller makes up is answered, and changes nothing.
#[test]
fn a_wrong_token_does_nothing() {
    let recorder = Recorder::new();
    let effect = request("scope", "a");
    let claim = acquire(&recorder, &effect);
    let recorded = Recorded::Failure(Vec::new());
    for (key, token) in [
        (&claim.key, "wrong"),
        (&claim.key, ""),
        (&request("scope", "b").key, claim.token.as_str()),
        (&request("another", "a").key, claim.token.as_str()),
    ] {
        assert_eq!(effects::renew(&recorder, key, token, 1000).unwrap(), None);
        assert!(!effects::finish(&recorder, key, token, &recorded).unwrap());
        effects::release(&recorder, key, token).unwrap();
    }
    assert!(matches!(
        effects::find(&recorder, &effect).unwrap(),
        Known::Busy(_)
    ));
    finish(&recorder, &claim);
    // Once it is finished the token proves nothing any more.
    assert!(!effects::finish(&recorder, &claim.key, &claim.token, &recorded).unwrap());
}

/// R13: numbers of the caller that no clock shows are clamped.
#[test]
fn the_largest_lease_and_delay_are_far_away_and_not_in_the_past() {
    let recorder = Recorder::new();
    let effect = request("scope", "a");
    let owner = "owner".to_owned();
    let acquired =
        effects::acquire(&recorder, effect.clone(), owner, u64::MAX, Some(u64::MAX)).unwrap();
    let Acquired::Claimed(claim) = acquired else {
        panic!("{acquired:?}");
    };
    let farthest = u64::try_from(i64::MAX).unwrap();
    assert_eq!(
        (claim.expires_at_ms, claim.due_at_ms),
        (farthest, Some(farthest))
    );
    assert!(matches!(
        effects::find(&recorder, &effect).unwrap(),
        Known::Busy(_)
    ));
}

/// A lease that expired is void only once somebody else has claimed.
#[test]
fn an_expired_lease_can_be_renewed_and_finished_until_it_is_taken_over() {
    let recorder = Recorder::new();
    let effect = request("scope", "a");
    let expired = |recorder: &Recorder| {
        let owner = "owner".to_owned();
        match effects::acquire(recorder, effect.clone(), owner, 0, None).unwrap() {
            Acquired::Claimed(claim) => claim,
            Acquired::Known(known) => panic!("{known:?}"),
        }
    };
    let first = expired(&recorder);
    assert!(
        effects::renew(&recorder, &first.key, &first.token, 0)
            .unwrap()
            .is_some()
    );
    let second = expired(&recorder);
    assert_eq!(
        effects::renew(&recorder, &first.key, &first.token, 60_000).unwrap(),
        None
    );
    finish(&recorder, &second);
    assert_eq!(effects::forget_scope(&recorder, "scope").unwrap(), 1);
}
