//! The sweep: an operation is run undisturbed, then once for every fault at every
//! statement that it ran, each time from the same start.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::rc::Rc;

use lash_wasm_store_guest::Result;
use lash_wasm_store_guest::bindings::inspection_types::{Repaired, Verification};
use lash_wasm_store_guest::bindings::types;
use lash_wasm_store_guest::seam::TransactionMode;
use lash_wasm_store_testing::faults::{Ended, Fault, FaultyEnvironment, Step, injected};

/// When everything happens, in ms since 1970.
pub const NOW: i64 = 1_000_000;

/// A call; what it answers is text that can be compared.
pub type Call = Box<dyn Fn(&FaultyEnvironment) -> String>;

/// What an operation does to the database.
pub enum Effect {
    /// It reads.
    Reads,
    /// It refuses, or finds nothing to do.
    Keeps,
    /// It changes something.
    Writes(Retry),
}

/// What is answered to a call again that was applied and of which the answer was
/// lost.
pub enum Retry {
    /// The same, and nothing more is written.
    Same,
    /// The same, but that the first word is the second, and nothing more is written;
    /// why.
    Named(&'static str, &'static str, &'static str),
    /// Something that begins so, and nothing more is written; why.
    Answers(&'static str, &'static str),
    /// Something that begins so, and it is applied a second time; why.
    Again(&'static str, &'static str),
}

/// A way to call a function.
pub struct Operation {
    /// Interface and function, as in the WIT.
    pub function: &'static str,
    variant: &'static str,
    effect: Effect,
    start: Option<Rc<Vec<u8>>>,
    call: Call,
}

impl Operation {
    /// A function as the table has it.
    pub fn new<T: Debug>(
        function: &'static str,
        variant: &'static str,
        effect: Effect,
        call: impl Fn(&FaultyEnvironment) -> Result<T> + 'static,
    ) -> Self {
        Self {
            function,
            variant,
            effect,
            start: None,
            call: Box::new(move |db| format!("{:?}", call(db))),
        }
    }

    /// Starts from another database than the table's.
    pub fn on(mut self, image: &Rc<Vec<u8>>) -> Self {
        self.start = Some(Rc::clone(image));
        self
    }

    fn name(&self) -> String {
        format!("{} ({})", self.function, self.variant)
    }
}

/// All operations on one kind of database.
pub struct Table {
    /// The kind.
    pub kind: &'static str,
    /// The database that they start from.
    pub start: Rc<Vec<u8>>,
    /// The operations.
    pub operations: Vec<Operation>,
    /// Work that any sound database of the kind takes.
    pub goes_on: Call,
}

/// A copy of a database, which is empty if the image is.
pub fn copy(image: &[u8]) -> FaultyEnvironment {
    let db = match image {
        [] => FaultyEnvironment::empty(),
        image => FaultyEnvironment::from_image(image),
    };
    db.set_time(NOW);
    db.seed(1);
    db
}

/// What a database holds, and what it answers.
struct State {
    dump: String,
    reads: Vec<String>,
}

impl Table {
    fn state(&self, db: &FaultyEnvironment) -> State {
        let reads = self.operations.iter();
        let reads = reads.filter(|operation| matches!(operation.effect, Effect::Reads));
        State {
            dump: db.dump(),
            reads: reads
                .map(|read| format!("{}: {}", read.name(), (read.call)(db)))
                .collect(),
        }
    }

    /// Everything can be read, or all of it is refused because the session was
    /// retired.
    fn assert_sound(&self, db: &FaultyEnvironment, retired: bool, context: &str) {
        assert_eq!(db.integrity(), "ok", "{context}");
        for read in self.state(db).reads {
            let refused = read.ends_with(": Err(Error::Retired)");
            assert!(
                !read.contains(": Err(") || retired && refused,
                "{context}: {read}"
            );
        }
    }

    /// The statements that the operations run, undisturbed.
    pub fn statements(&self) -> BTreeSet<String> {
        let mut statements = BTreeSet::new();
        for operation in &self.operations {
            let image = operation.start.as_ref().unwrap_or(&self.start);
            let (_, steps) = copy(image).run(&operation.call);
            statements.extend(steps.into_iter().filter_map(|step| match step {
                Step::Statement(sql) => Some(sql),
                Step::Begin(_) | Step::Commit => None,
            }));
        }
        statements
    }

    /// Sweeps all operations.
    pub fn sweep(&self) {
        let (mut points, mut faults) = (0, 0);
        for operation in &self.operations {
            let (steps, injected) = self.sweep_one(operation);
            points += steps;
            faults += injected;
        }
        let mut functions: Vec<&str> = self.operations.iter().map(|o| o.function).collect();
        functions.sort_unstable();
        functions.dedup();
        println!(
            "{}: {} operations, {} variants, {points} points, {faults} faults",
            self.kind,
            functions.len(),
            self.operations.len(),
        );
    }

    /// Answers how many statements there were, and how many faults were injected.
    fn sweep_one(&self, operation: &Operation) -> (usize, usize) {
        let name = operation.name();
        let image = operation.start.as_ref().unwrap_or(&self.start);
        let old = self.state(&copy(image));
        let undisturbed = copy(image);
        let (answer, steps) = undisturbed.run(&operation.call);
        assert_one_write(&steps, &name);
        let new = self.state(&undisturbed);
        let changes = matches!(operation.effect, Effect::Writes(_));
        assert_eq!(new.dump != old.dump, changes, "{name}: {answer}");
        let reads = matches!(operation.effect, Effect::Reads);
        assert!(
            !reads && !changes || answer.starts_with("Ok("),
            "{name}: {answer}"
        );
        let retired = answers_retired(&(self.goes_on)(&undisturbed));
        self.assert_sound(&undisturbed, retired, &name);
        let outcome = Outcome {
            answer,
            old,
            new,
            retired,
        };
        let mut faults = 0;
        for (number, step) in steps.iter().enumerate() {
            let commits = matches!(step, Step::Commit);
            for fault in [Fault::Error, Fault::Trap, Fault::LostAnswer] {
                if fault != Fault::LostAnswer || commits {
                    faults += 1;
                    let context = format!("{name}: {fault:?} at step {number}, {step:?}");
                    let db = copy(image);
                    let ended = db.run_with(number, fault, &operation.call);
                    assert_ended(&ended, fault, &context);
                    let applied = commits && fault != Fault::Error;
                    self.check_after(operation, &outcome, &db, applied, &context);
                }
            }
        }
        assert!(!steps.is_empty(), "{name}");
        (steps.len(), faults)
    }

    /// Checks a database in which the operation was interrupted.
    fn check_after(
        &self,
        operation: &Operation,
        undisturbed: &Outcome,
        db: &FaultyEnvironment,
        applied: bool,
        context: &str,
    ) {
        assert_eq!(db.integrity(), "ok", "{context}");
        let expected = match applied {
            true => &undisturbed.new,
            false => &undisturbed.old,
        };
        let found = self.state(db);
        assert_same(&found.dump, &expected.dump, context);
        assert_eq!(found.reads, expected.reads, "{context}");
        // What was rolled back is done with the same random numbers as undisturbed, to
        // compare them. A retry of what was applied has its own.
        db.seed(if applied { 2 } else { 1 });
        let (answer, _) = db.run(&operation.call);
        let dump = db.dump();
        let retry = match &operation.effect {
            Effect::Writes(retry) if applied => retry,
            _ => &Retry::Same,
        };
        match retry {
            Retry::Same => {
                assert_eq!(answer, undisturbed.answer, "{context}");
                assert_same(&dump, &undisturbed.new.dump, context);
            }
            Retry::Named(first, second, why) => {
                let renamed = undisturbed.answer.replace(first, second);
                assert_eq!(answer, renamed, "{context}: {why}");
                assert_ne!(answer, undisturbed.answer, "{context}");
                assert_same(&dump, &undisturbed.new.dump, context);
            }
            Retry::Answers(begin, why) => {
                assert!(answer.starts_with(begin), "{context}: {answer}, {why}");
                assert_ne!(answer, undisturbed.answer, "{context}");
                assert_same(&dump, &undisturbed.new.dump, context);
            }
            Retry::Again(begin, why) => {
                assert!(answer.starts_with(begin), "{context}: {answer}, {why}");
                assert_ne!(dump, undisturbed.new.dump, "{context}: {why}");
            }
        }
        db.seed(3);
        let work = (self.goes_on)(db);
        let retired = answers_retired(&work);
        assert!(work.starts_with("Ok(") || retired, "{context}: {work}");
        assert_eq!(retired, undisturbed.retired, "{context}: {work}");
        self.assert_sound(db, retired, context);
    }
}

/// An undisturbed run.
struct Outcome {
    answer: String,
    old: State,
    new: State,
    retired: bool,
}

fn answers_retired(work: &str) -> bool {
    work == "Err(Error::Retired)"
}

/// Two dumps must be the same; tells the lines that are in one of them only.
fn assert_same(found: &str, expected: &str, context: &str) {
    let without = |these: &str, others: &str| {
        let others: Vec<&str> = others.lines().collect();
        let lines = these.lines().filter(|line| !others.contains(line));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(
        found == expected,
        "{context}\nfound only:\n{}\nexpected only:\n{}",
        without(found, expected),
        without(expected, found)
    );
}

/// As the WIT says, a call has one transaction that writes at most.
fn assert_one_write(steps: &[Step], name: &str) {
    let writes = |step: &&Step| match step {
        Step::Begin(mode) => !matches!(mode, TransactionMode::Read),
        _ => false,
    };
    assert!(
        steps.iter().filter(writes).count() <= 1,
        "{name}: {steps:?}"
    );
}

/// An error of the database is answered as it is; nothing hides it.
fn assert_ended(ended: &Ended<String>, fault: Fault, context: &str) {
    let expected = match fault {
        Fault::Trap => Ended::Trapped,
        Fault::Error | Fault::LostAnswer => {
            let error: Result<()> = Err(types::Error::Sqlite(injected()));
            Ended::Answered(format!("{error:?}"))
        }
    };
    assert_eq!(*ended, expected, "{context}");
}

/// A repair of a copy of a database in which SQL has changed derived data.
pub fn repair(
    function: &'static str,
    image: &[u8],
    damage: &str,
    call: impl Fn(&FaultyEnvironment) -> Result<Repaired> + 'static,
) -> Operation {
    let mut db = copy(image);
    db.damage(damage);
    let start = Rc::new(db.image());
    let repaired = "nothing is corrupt any more";
    let retry = Retry::Answers(
        "Ok(Repaired { rebuilt: [], problems: [], omitted: 0 })",
        repaired,
    );
    Operation::new(function, "", Effect::Writes(retry), call).on(&start)
}

/// A verification that fails if anything is wrong.
pub fn sound(step: impl Fn(Option<&[u8]>) -> Result<Verification>) -> Result<Vec<Verification>> {
    let mut steps: Vec<Verification> = Vec::new();
    loop {
        let cursor = steps.last().map(|step| step.next.clone());
        let found = match cursor {
            None => step(None)?,
            Some(Some(cursor)) => step(Some(&cursor))?,
            Some(None) => return Ok(steps),
        };
        if !found.problems.is_empty() {
            let problems = format!("{:?}", found.problems);
            return Err(types::Error::Invalid(problems));
        }
        steps.push(found);
    }
}
