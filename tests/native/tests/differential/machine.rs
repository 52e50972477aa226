//! Runs a sequence of operations on several engines and compares their answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};

use lash_wasm_store_testing::damage::setting;
use lash_wasm_store_testing::fixtures::guarded;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use crate::answer::{Answer, is_error, is_ok};
use crate::differences::Difference;

/// How many sequences each machine runs if nothing else is asked for.
const CASES: u64 = 150;

/// How long a sequence is.
const LENGTH: std::ops::Range<usize> = 1..80;

/// Whom an engine belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// This crate.
    Ours,
    /// `lash-sqlite-store`.
    Native,
    /// lash-core's store in memory.
    Memory,
}

/// One kind of database.
pub(crate) trait Machine {
    /// What is done to it.
    type Operation: Clone + Debug + 'static;
    /// A store with what is known of the names that it gave.
    type Engine;
    /// What happened so far, in names that all engines share: enough to choose
    /// arguments, and to say when a difference is meant.
    type Model: Default;

    /// Its name in reports.
    const NAME: &'static str;

    /// Any sequence of operations.
    fn sequence() -> BoxedStrategy<Vec<Self::Operation>>;

    /// Opens the engines, this crate's first. A sequence that closes and opens them
    /// again needs files.
    async fn open(sequence: &[Self::Operation]) -> Vec<Self::Engine>;

    /// Whose an engine is.
    fn owner(engine: &Self::Engine) -> Owner;

    /// Does an operation and answers comparably.
    async fn run(
        engine: &mut Self::Engine,
        model: &Self::Model,
        operation: &Self::Operation,
    ) -> Answer;

    /// The difference that an operation is going to show between this crate and
    /// another engine, if one is meant.
    fn meant(
        model: &Self::Model,
        operation: &Self::Operation,
        other: Owner,
    ) -> Option<Meant<Self::Operation>>;

    /// Notes what an operation did, by this crate's answer.
    fn learn(model: &mut Self::Model, operation: &Self::Operation, answer: &Answer);

    /// What else is to be compared at the end; answers what differs. `apart` says whether
    /// the last operation may have taken the engines apart.
    async fn finish(
        _engines: &mut [Self::Engine],
        _model: &Self::Model,
        _apart: bool,
    ) -> Result<(), String> {
        Ok(())
    }
}

/// Whether this crate's answer, and the other's if there is one, are as a difference
/// says.
type Agrees = Box<dyn Fn(&Answer, Option<&Answer>) -> bool>;

/// A difference that is meant.
pub(crate) struct Meant<O> {
    /// Which one.
    pub(crate) difference: Difference,
    /// How it shows.
    pub(crate) agrees: Agrees,
    /// What is done so that later answers can be compared.
    pub(crate) then: Then<O>,
}

/// What is done about engines that go apart.
pub(crate) enum Then<O> {
    /// Nothing: they do not.
    GoOn,
    /// The other one is not asked, unless this is the last operation.
    LeaveOut,
    /// The other one is never asked, because it might never answer.
    NeverAsk,
    /// The other one does something else that comes to the same, unless this is the
    /// last operation.
    Instead(Vec<O>),
}

impl<O> Meant<O> {
    /// This crate answers otherwise, and nothing goes apart.
    pub(crate) fn answered(
        difference: Difference,
        agrees: impl Fn(&Answer, &Answer) -> bool + 'static,
    ) -> Self {
        Self {
            difference,
            agrees: Box::new(move |ours, theirs| theirs.is_none_or(|theirs| agrees(ours, theirs))),
            then: Then::GoOn,
        }
    }

    /// This crate refuses with an error of this variant what the other does.
    pub(crate) fn refused(difference: Difference, variant: &'static str) -> Self {
        Self::left_out(difference, move |ours| is_error(ours, variant))
    }

    /// The other engine would go another way from here; this crate's answer is
    /// known.
    pub(crate) fn left_out(
        difference: Difference,
        ours: impl Fn(&Answer) -> bool + 'static,
    ) -> Self {
        Self {
            difference,
            agrees: Box::new(move |answer, _| ours(answer)),
            then: Then::LeaveOut,
        }
    }

    /// The other engine might never answer.
    pub(crate) fn never_asked(difference: Difference) -> Self {
        Self {
            then: Then::NeverAsk,
            ..Self::left_out(difference, is_ok)
        }
    }

    /// The other engine needs other operations to come to the same.
    pub(crate) fn instead(
        difference: Difference,
        ours: impl Fn(&Answer) -> bool + 'static,
        operations: Vec<O>,
    ) -> Self {
        Self {
            difference,
            agrees: Box::new(move |answer, _| ours(answer)),
            then: Then::Instead(operations),
        }
    }
}

/// What was run and found.
#[derive(Default)]
pub(crate) struct Tally {
    sequences: u64,
    operations: u64,
    compared: u64,
    differences: BTreeMap<(Difference, Owner), u64>,
}

impl Tally {
    /// How often a difference was seen, beside any engine.
    pub(crate) fn seen(&self, difference: Difference) -> u64 {
        let seen = self.differences.iter();
        seen.filter(|((seen, _), _)| *seen == difference)
            .map(|(_, count)| count)
            .sum()
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: {} sequences, {} operations, {} answers compared",
            self.sequences, self.operations, self.compared
        );
        for ((difference, other), count) in &self.differences {
            println!("  {count:6} {difference:?}, beside {other:?}");
        }
    }
}

/// Whether differences that are meant are allowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    Fair,
    /// None is: to see whether there still is one.
    Strict,
}

/// Runs a sequence; answers in which step what differs.
pub(crate) async fn run_sequence<M: Machine>(
    sequence: &[M::Operation],
    judge: Judge,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut engines = M::open(sequence).await;
    let (ours, others) = engines.split_first_mut().expect("this crate's engine");
    let mut model = M::Model::default();
    let mut apart = false;
    tally.sequences += 1;
    for (step, operation) in sequence.iter().enumerate() {
        let is_last = step + 1 == sequence.len();
        tally.operations += 1;
        let answer = guarded(M::run(ours, &model, operation)).await;
        for other in others.iter_mut() {
            let owner = M::owner(other);
            let meant = M::meant(&model, operation, owner).filter(|_| judge == Judge::Fair);
            apart |= is_last && meant.is_some();
            let theirs = match meant.as_ref().map(|meant| &meant.then) {
                Some(Then::NeverAsk) => None,
                Some(Then::LeaveOut) if !is_last => None,
                Some(Then::Instead(operations)) if !is_last => {
                    for operation in operations {
                        guarded(M::run(other, &model, operation)).await;
                    }
                    None
                }
                _ => Some(guarded(M::run(other, &model, operation)).await),
            };
            tally.compared += u64::from(theirs.is_some());
            if theirs.as_ref() == Some(&answer) {
                continue;
            }
            match meant {
                Some(meant) if (meant.agrees)(&answer, theirs.as_ref()) => {
                    let seen = (meant.difference, owner);
                    *tally.differences.entry(seen).or_default() += 1;
                }
                meant => {
                    let meant = meant.map(|meant| meant.difference);
                    return Err(format!(
                        "step {step}, {operation:?}\n  ours: {answer}\n  {owner:?}: {}\n  \
                         meant: {meant:?}",
                        theirs.map_or("not asked".to_owned(), |theirs| theirs.to_string())
                    ));
                }
            }
        }
        M::learn(&mut model, operation, &answer);
    }
    guarded(M::finish(&mut engines, &model, apart)).await
}

/// Sequences of operations.
pub(crate) fn sequence_of<O: Clone + Debug + 'static>(
    operation: impl Strategy<Value = O> + 'static,
) -> BoxedStrategy<Vec<O>> {
    prop::collection::vec(operation, LENGTH).boxed()
}

/// A runtime for everything that a test opens.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Runs random sequences and fails with the shortest one that shows a difference.
pub(crate) fn random_sequences<M: Machine>() {
    let cases = setting("LASH_DIFFERENTIAL_CASES", CASES);
    let seed = setting("LASH_DIFFERENTIAL_SEED", 1);
    let mut runner = TestRunner::new(Config {
        cases: u32::try_from(cases).expect("a number of cases"),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 4096,
        // An operation that does not end takes a minute to fail.
        max_shrink_time: 600_000,
        ..Config::default()
    });
    let runtime = runtime();
    let tally = RefCell::new(Tally::default());
    let result = runner.run(&M::sequence(), |sequence| {
        runtime
            .block_on(run_sequence::<M>(
                &sequence,
                Judge::Fair,
                &mut tally.borrow_mut(),
            ))
            .map_err(TestCaseError::fail)
    });
    tally.borrow().print(M::NAME);
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, sequence)) => {
            let mut report = String::new();
            for (step, operation) in sequence.iter().enumerate() {
                writeln!(report, "  {step}: {operation:?}").expect("a string");
            }
            panic!("{} differ, seed {seed}:\n{report}{reason}", M::NAME);
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
