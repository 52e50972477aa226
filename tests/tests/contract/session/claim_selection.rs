//! What one claim takes, compared with what lash-core would take.

use lash_core::runtime::{QueuedWorkBatchDraft, QueuedWorkClaimBoundary};
use lash_core::store::queued_work::{ClaimCandidate, select_claim_prefix};
use lash_core::{DeliveryPolicy, MergeKey, RuntimePersistence, SlotPolicy};
use lash_wasm_store::Store;
use lash_wasm_store_guest::bindings::session_types as wit;
use lash_wasm_store_guest::session::queue::selection::{Candidate, claimed_prefix};
use lash_wasm_store_testing::fixtures::{SESSION, TestClock, claimed_ids, work};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Shape {
    delivery: DeliveryPolicy,
    slot: SlotPolicy,
    merge_key: MergeKey,
}

impl Shape {
    fn candidate(&self, enqueue_seq: u64) -> ClaimCandidate {
        ClaimCandidate {
            enqueue_seq,
            claim_fencing_token: 0,
            delivery_policy: self.delivery,
            slot_policy: self.slot,
            merge_key: self.merge_key.clone(),
        }
    }

    fn draft(&self, number: usize) -> QueuedWorkBatchDraft {
        QueuedWorkBatchDraft {
            delivery_policy: self.delivery,
            slot_policy: self.slot,
            merge_key: self.merge_key.clone(),
            ..work(&number.to_string())
        }
    }
}

/// Alike more often than not, so that long prefixes join.
fn shape() -> impl Strategy<Value = Shape> {
    let merge_key = prop_oneof![
        6 => Just(MergeKey::PayloadDefault),
        1 => Just(MergeKey::Never),
        1 => Just(MergeKey::Group("PayloadDefault".to_owned())),
        1 => Just(MergeKey::Group("payload_default".to_owned())),
    ];
    let delivery = prop_oneof![
        6 => Just(DeliveryPolicy::EarliestSafeBoundary),
        1 => Just(DeliveryPolicy::AfterCurrentTurnCommit),
    ];
    let slot = prop_oneof![6 => Just(SlotPolicy::Join), 1 => Just(SlotPolicy::Exclusive)];
    (delivery, slot, merge_key).prop_map(|(delivery, slot, merge_key)| Shape {
        delivery,
        slot,
        merge_key,
    })
}

fn boundary() -> impl Strategy<Value = QueuedWorkClaimBoundary> {
    prop_oneof![
        Just(QueuedWorkClaimBoundary::Idle),
        Just(QueuedWorkClaimBoundary::ActiveTurnCheckpoint),
    ]
}

fn maximum() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..12_usize, 1 => Just(usize::MAX), 1 => Just(usize::MAX - 1)]
}

proptest! {
    #[test]
    fn the_guest_takes_the_prefix_that_lash_core_takes(
        shapes in prop::collection::vec(shape(), 0..20),
        boundary in boundary(),
        maximum in maximum(),
    ) {
        let candidates: Vec<_> = shapes
            .iter()
            .zip(1..)
            .map(|(shape, seq)| shape.candidate(seq))
            .collect();
        let keys: Vec<String> = shapes
            .iter()
            .map(|shape| serde_json::to_string(&shape.merge_key).unwrap())
            .collect();
        let ours = shapes.iter().zip(&keys).map(|(shape, key)| Candidate {
            delivery: match shape.delivery {
                DeliveryPolicy::EarliestSafeBoundary => wit::DeliveryPolicy::EarliestSafeBoundary,
                DeliveryPolicy::AfterCurrentTurnCommit => {
                    wit::DeliveryPolicy::AfterCurrentTurnCommit
                }
            },
            slot: match shape.slot {
                SlotPolicy::Join => wit::SlotPolicy::Join,
                SlotPolicy::Exclusive => wit::SlotPolicy::Exclusive,
            },
            merge_key: key,
        });
        let at = match boundary {
            QueuedWorkClaimBoundary::Idle => wit::Boundary::Idle,
            QueuedWorkClaimBoundary::ActiveTurnCheckpoint => wit::Boundary::ActiveTurnCheckpoint,
        };
        prop_assert_eq!(
            claimed_prefix(ours, at, maximum as u64),
            select_claim_prefix(&candidates, boundary, maximum)
        );
    }
}

/// One step of a worker.
#[derive(Clone, Debug)]
enum Step {
    Claim(QueuedWorkClaimBoundary, usize),
    /// Gives the oldest held claim back.
    Abandon,
    /// Lets all leases expire.
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (boundary(), maximum()).prop_map(|(boundary, maximum)| Step::Claim(boundary, maximum)),
        1 => Just(Step::Abandon),
        1 => Just(Step::Expire),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is claimed, given back or expired: a claim takes from the pending
    /// work, as the store lists it, what lash-core would take.
    #[test]
    fn the_store_claims_of_its_pending_work_what_lash_core_would(
        shapes in prop::collection::vec(shape(), 0..50),
        steps in prop::collection::vec(step(), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let clock = TestClock::at(1_000);
            let store: Store = clock.builder().memory().await.unwrap();
            for (number, shape) in shapes.iter().enumerate() {
                store.enqueue_queued_work(shape.draft(number)).await.unwrap();
            }
            let mut held = Vec::new();
            for step in steps {
                match step {
                    Step::Claim(boundary, maximum) => {
                        let pending = store.list_pending_queued_work(SESSION).await.unwrap();
                        let candidates: Vec<_> = pending
                            .iter()
                            .map(|batch| ClaimCandidate {
                                enqueue_seq: batch.enqueue_seq,
                                claim_fencing_token: 0,
                                delivery_policy: batch.delivery_policy,
                                slot_policy: batch.slot_policy,
                                merge_key: batch.merge_key.clone(),
                            })
                            .collect();
                        let expected = select_claim_prefix(&candidates, boundary, maximum);
                        let expected: Vec<&str> = pending[..expected]
                            .iter()
                            .map(|batch| batch.batch_id.as_str())
                            .collect();
                        let claim = store
                            .claim_ready_queued_work(SESSION, "o", boundary, 100, maximum)
                            .await
                            .unwrap();
                        let claimed = claim.as_ref().map(claimed_ids).unwrap_or_default();
                        prop_assert_eq!(claimed, expected);
                        held.extend(claim);
                    }
                    Step::Abandon if !held.is_empty() => {
                        store.abandon_queued_work_claim(&held.remove(0)).await.unwrap();
                    }
                    Step::Abandon => {}
                    Step::Expire => clock.advance(100),
                }
            }
            Ok(())
        })?;
    }
}
