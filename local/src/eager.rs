//! Runs futures that often wake themselves.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Maximum number of polls in a row, after which other tasks have their turn.
const POLLS: usize = 32;

/// Polls a future again at once when it was woken during a poll, as each call to the embedded engine does. The runtime
/// would put its task at the end of the queue, and wake another thread that takes it over, which takes longer than the
/// call.
pub(crate) async fn poll_eagerly<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let shared = Arc::new(Wakes::default());
    let waker = Waker::from(shared.clone());
    poll_fn(|context| {
        shared.task.register(context.waker());
        for _ in 0..POLLS {
            shared.state.store(POLLING, Ordering::SeqCst);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(output);
            }
            let waits = shared.state.compare_exchange(POLLING, WAITING, Ordering::SeqCst, Ordering::SeqCst);
            if waits.is_ok() {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

const WAITING: u8 = 0;
const POLLING: u8 = 1;
const WOKEN: u8 = 2;

/// The state of a future, and the task that it belongs to.
#[derive(Default)]
struct Wakes {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::SeqCst) == WAITING {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    /// Counts the wake-ups of a task.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A future that wakes itself a number of times before it is ready.
    async fn wakes_itself(times: usize) {
        let mut left = times;
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn a_future_that_wakes_itself_does_not_wake_its_task_until_others_must_have_their_turn() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        assert!(pin!(poll_eagerly(wakes_itself(POLLS - 1))).as_mut().poll(&mut context).is_ready());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        let mut longer = pin!(poll_eagerly(wakes_itself(POLLS)));
        assert!(longer.as_mut().poll(&mut context).is_pending());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(longer.as_mut().poll(&mut context).is_ready());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_up_from_another_thread_is_lost() {
        let exchange = async |sends: tokio::sync::mpsc::Sender<u32>,
                              mut receives: tokio::sync::mpsc::Receiver<u32>| {
            for number in 0..10_000 {
                sends.send(number).await.unwrap();
                assert_eq!(receives.recv().await, Some(number));
            }
        };
        let (to_second, from_first) = tokio::sync::mpsc::channel(1);
        let (to_first, from_second) = tokio::sync::mpsc::channel(1);
        let first = tokio::spawn(poll_eagerly(exchange(to_second, from_second)));
        let second = tokio::spawn(poll_eagerly(exchange(to_first, from_first)));
        let both = async { (first.await.unwrap(), second.await.unwrap()) };
        tokio::time::timeout(Duration::from_mins(1), both).await.unwrap();
    }
}
