//! How the answer of a job finds its way back.

use std::sync::mpsc;

use tokio::sync::oneshot;

/// Where somebody waits for an answer.
pub(crate) enum Reply<R> {
    /// In a future.
    Future(oneshot::Sender<R>),
    /// In a future, and the job is done even if it is dropped.
    Certain(oneshot::Sender<R>),
    /// In a thread that has nothing else to do.
    Thread(mpsc::SyncSender<R>),
    /// Nowhere: the job is done for its effect.
    Nobody,
}

impl<R> Reply<R> {
    pub(crate) fn future() -> (Self, oneshot::Receiver<R>) {
        let (sender, receiver) = oneshot::channel();
        (Self::Future(sender), receiver)
    }

    pub(crate) fn certain() -> (Self, oneshot::Receiver<R>) {
        let (sender, receiver) = oneshot::channel();
        (Self::Certain(sender), receiver)
    }

    pub(crate) fn thread() -> (Self, mpsc::Receiver<R>) {
        let (sender, receiver) = mpsc::sync_channel(1);
        (Self::Thread(sender), receiver)
    }

    /// Whether the job need not be done, because nobody waits any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Future(sender) => sender.is_closed(),
            Self::Certain(_) | Self::Thread(_) | Self::Nobody => false,
        }
    }

    /// Answers. If nobody waits any more, the answer is dropped: what was done is
    /// done.
    pub(crate) fn send(self, answer: R) {
        match self {
            Self::Future(sender) | Self::Certain(sender) => drop(sender.send(answer)),
            Self::Thread(sender) => drop(sender.send(answer)),
            Self::Nobody => {}
        }
    }
}
