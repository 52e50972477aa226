//! Components that call the host where they must not: while it writes into their memory,
//! after it has read an answer, and before they were called at all.

use std::error::Error as _;

use lash_wasm_store::{EngineError, Error, Limits, StoreComponent};
use lash_wasm_store_testing::contained::contained;

use super::{Lies, Tricks, component};

/// A call of the host that is harmless in its place.
const CALL: &str = "(call $now (i32.const 0))";

/// Begins a transaction and queries: the host asks for memory for the rows.
const QUERY: &str = "
    (call $begin (local.get 0) (i32.const 0) (i32.const 600))
    (call $query (i32.load (i32.const 604)) (i32.const 512) (i32.const 8)
        (i32.const 8) (i32.const 0) (i32.const 616))";

/// Opens a store on a component that queries whenever it is called, and does nothing else.
pub async fn query(limits: Limits) -> Result<(), Error> {
    let tricks = Tricks {
        called: QUERY,
        ..Tricks::default()
    };
    used_within(&tricks, limits).await
}

async fn used(tricks: &Tricks) -> Result<(), Error> {
    used_within(tricks, Limits::default()).await
}

/// Opens a store on a component and stores a blob.
async fn used_within(tricks: &Tricks, limits: Limits) -> Result<(), Error> {
    let component = StoreComponent::untrusted(&component(tricks), limits).unwrap();
    let store = Lies::default().builder(component).memory().await?;
    store.try_put_blob(b"content").await.map(drop)
}

/// The component is stopped, for this reason.
async fn is_stopped(attack: &str, tricks: Tricks, reason: &str) {
    let error = used(&tricks).await.unwrap_err();
    let Error::Engine(EngineError::Component {
        committed: false, ..
    }) = &error
    else {
        panic!("{attack}: {error:?}");
    };
    let mut cause = error.source().unwrap();
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = cause.to_string();
    assert!(cause.contains(reason), "{attack}: {cause}");
    contained(
        attack,
        "the component model",
        &format!("`component`: {reason}"),
    );
}

const MUST_NOT_LEAVE: &str = "cannot leave component instance";

/// What is refused below is allowed elsewhere.
#[tokio::test]
async fn calls_in_their_places_are_answered() {
    query(Limits::default()).await.unwrap();
}

#[tokio::test]
async fn a_component_does_not_call_while_the_host_writes_an_argument() {
    let tricks = Tricks {
        realloc: CALL,
        ..Tricks::default()
    };
    is_stopped("calls while an argument is written", tricks, MUST_NOT_LEAVE).await;
}

#[tokio::test]
async fn a_component_does_not_call_while_the_host_writes_an_answer() {
    let tricks = Tricks {
        called: QUERY,
        realloc: CALL,
        ..Tricks::default()
    };
    is_stopped("calls while rows are written", tricks, MUST_NOT_LEAVE).await;
}

#[tokio::test]
async fn a_component_does_not_call_after_its_answer_was_read() {
    let tricks = Tricks {
        read: CALL,
        ..Tricks::default()
    };
    is_stopped("calls after its answer was read", tricks, MUST_NOT_LEAVE).await;
}

/// What an import writes into memory is not linked yet when a component starts.
#[tokio::test]
async fn a_component_has_no_database_before_it_is_called() {
    let tricks = Tricks {
        start: "(call $begin (i32.const 1) (i32.const 0) (i32.const 600))",
        ..Tricks::default()
    };
    is_stopped(
        "uses a database before it is called",
        tricks,
        "uninitialized element",
    )
    .await;
}

/// A component that loops while it is instantiated.
#[tokio::test]
async fn a_component_that_never_starts_is_stopped() {
    let tricks = Tricks {
        start: "(loop (br 0))",
        ..Tricks::default()
    };
    let limits = Limits::default().call_time(std::time::Duration::from_millis(100));
    let component = StoreComponent::untrusted(&component(&tricks), limits).unwrap();
    let error = Lies::default().builder(component).memory().await.map(drop);
    let error = error.unwrap_err();
    assert!(error.to_string().contains("limit call_time"), "{error}");
    contained("never starts", "limit call_time", "`limit`");
}
