//! The tasks of one query: futures that wait for one another without being polled inside one another.
//!
//! All of them are polled by whoever polls the query, side by side, so that a stack holds one of them at a time however
//! deeply they wait. Dropping the query drops them.

use crate::engine::QueryError;
use futures::channel::{mpsc, oneshot};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

/// Where tasks are begun.
pub struct Tasks(mpsc::UnboundedSender<BoxFuture<'static, ()>>);

/// Where begun tasks come out to be run.
pub struct Spawned(mpsc::UnboundedReceiver<BoxFuture<'static, ()>>);

/// What a task will yield.
pub struct Answer<T>(oneshot::Receiver<Result<T, QueryError>>);

/// Both ends.
pub fn tasks() -> (Tasks, Spawned) {
    let (sender, receiver) = mpsc::unbounded();
    (Tasks(sender), Spawned(receiver))
}

impl Tasks {
    /// Begins a task.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        let task = Box::pin(async move { drop(sender.send(work.await)) });
        let _ = self.0.unbounded_send(task); // fails only when the query is gone, and the answer with it
        Answer(receiver)
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, QueryError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(answer.unwrap_or(Err(QueryError::Canceled)))
    }
}

impl Spawned {
    /// Runs `root` and all tasks that come of it, until `root` is done.
    pub async fn run<T>(mut self, root: impl Future<Output = T>) -> T {
        let mut root = pin!(root);
        let mut running = FuturesUnordered::new();
        std::future::poll_fn(move |context| {
            loop {
                if let Poll::Ready(value) = root.as_mut().poll(context) {
                    return Poll::Ready(value);
                }
                // Whatever was begun must have been polled once before this waits.
                let mut begun = false;
                while let Poll::Ready(Some(task)) = self.0.poll_next_unpin(context) {
                    running.push(task);
                    begun = true;
                }
                let finished = matches!(running.poll_next_unpin(context), Poll::Ready(Some(())));
                if !begun && !finished {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}
