//! Work done ahead by threads and delivered in order.

use std::{
    any::Any,
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::DataError;

/// Makes one item. The flag turns true when nobody waits for it any longer: a long piece of work may then return
/// anything early.
pub(crate) type Make<T> = Arc<dyn Fn(usize, &AtomicBool) -> Result<T, DataError> + Send + Sync>;

/// An iterator over the items of a range, in order, made by `workers` threads at most `ahead` items before they are
/// asked for; by the caller itself where `workers` is 0. It ends after the first error. Dropping it ends the threads.
pub(crate) struct Prefetch<T> {
    shared: Arc<Shared<T>>,
    /// The next item to deliver.
    next: usize,
    end: usize,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<T> {
    make: Make<T>,
    stop: AtomicBool,
    progress: Mutex<Progress<T>>,
    /// An item was finished or delivered, or nobody wants more.
    changed: Condvar,
}

struct Progress<T> {
    /// Items that no thread has begun. Its end moves on as items are delivered.
    open: Range<usize>,
    end: usize,
    finished: BTreeMap<usize, Result<T, DataError>>,
}

impl<T: Send + 'static> Prefetch<T> {
    pub fn new(make: Make<T>, items: Range<usize>, workers: usize, ahead: usize) -> Self {
        let Range { start: next, end } = items;
        let open = next..next.saturating_add(ahead.max(1)).min(end);
        let shared = Arc::new(Shared {
            make,
            stop: AtomicBool::new(false),
            progress: Mutex::new(Progress { open, end, finished: BTreeMap::new() }),
            changed: Condvar::new(),
        });
        let mut threads = Vec::new();
        for number in 0..workers.min(end.saturating_sub(next)) {
            let worker = Arc::clone(&shared);
            match thread::Builder::new().name(format!("m3ae-load-{number}")).spawn(move || worker.work()) {
                Ok(thread) => threads.push(thread),
                // Fewer threads give the same items, later.
                Err(error) if number > 0 => {
                    tracing::warn!(started = number, wanted = workers, %error, "cannot start more loader threads");
                    break;
                }
                Err(error) => {
                    let mut progress = shared.lock();
                    progress.open = 0..0;
                    progress.finished.insert(next, Err(DataError::Spawn(error)));
                }
            }
        }
        Self { shared, next, end, threads }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Progress<T>> {
        // No code that can panic runs under the lock: what it guards is whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, Progress<T>>) -> MutexGuard<'a, Progress<T>> {
        self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A thread's life.
    fn work(&self) {
        while let Some(item) = self.begin() {
            let result = self.make(item);
            self.lock().finished.insert(item, result);
            self.changed.notify_all();
        }
    }

    /// Waits for something to do; `None` when there will be nothing more.
    fn begin(&self) -> Option<usize> {
        let mut progress = self.lock();
        loop {
            if self.stopped() {
                return None;
            }
            if let Some(item) = progress.open.next() {
                return Some(item);
            }
            if progress.open.end >= progress.end {
                return None;
            }
            progress = self.wait(progress);
        }
    }

    fn make(&self, item: usize) -> Result<T, DataError> {
        catch_unwind(AssertUnwindSafe(|| (self.make)(item, &self.stop)))
            .unwrap_or_else(|panic| Err(DataError::Worker { batch: item, message: message(&*panic) }))
    }

    /// Waits for an item to be finished, and lets another one begin.
    fn take(&self, item: usize) -> Result<T, DataError> {
        let mut progress = self.lock();
        loop {
            if let Some(result) = progress.finished.remove(&item) {
                progress.open.end = (progress.open.end + 1).min(progress.end);
                self.changed.notify_all();
                return result;
            }
            progress = self.wait(progress);
        }
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // Taken so that no thread is between looking at the flag and going to sleep.
        drop(self.lock());
        self.changed.notify_all();
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without message").to_owned()
}

impl<T> Iterator for Prefetch<T> {
    type Item = Result<T, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let item = self.next;
        self.next += 1;
        let alone = self.threads.is_empty() && self.shared.lock().finished.is_empty();
        let result = if alone { self.shared.make(item) } else { self.shared.take(item) };
        if result.is_err() {
            self.next = self.end;
            self.shared.stop();
        }
        Some(result)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.end.saturating_sub(self.next);
        // An error ends it early.
        (rest.min(1), Some(rest))
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // A thread's panics are caught and delivered: there is nothing to learn from it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::Duration};

    use super::*;

    #[test]
    fn items_come_in_order_for_any_number_of_workers() {
        for (workers, ahead) in [(0, 1), (1, 1), (3, 2), (8, 5), (4, 1000)] {
            // Later items are faster: they finish out of order.
            let make: Make<usize> = Arc::new(|item, _| {
                thread::sleep(Duration::from_micros(((40 - item) % 7) as u64 * 100));
                Ok(item * item)
            });
            let items: Vec<usize> = Prefetch::new(make, 3..40, workers, ahead).map(Result::unwrap).collect();
            assert_eq!(items, (3..40).map(|i| i * i).collect::<Vec<_>>(), "{workers} {ahead}");
        }
    }

    #[test]
    fn no_more_items_are_begun_than_asked_for() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&begun);
        let make: Make<()> = Arc::new(move |_, _| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let mut items = Prefetch::new(make, 0..100, 4, 3);
        for delivered in 1..=20 {
            items.next().unwrap().unwrap();
            thread::sleep(Duration::from_millis(1));
            assert!(begun.load(Ordering::SeqCst) <= delivered + 3);
        }
        drop(items);
        assert!(begun.load(Ordering::SeqCst) <= 23);
    }

    #[test]
    fn a_panic_is_an_error_in_its_place_and_the_end() {
        for workers in [0, 1, 4] {
            let make: Make<usize> = Arc::new(|item, _| if item == 2 { panic!("item {item} is bad") } else { Ok(item) });
            let mut items = Prefetch::new(make, 0..50, workers, 8);
            assert_eq!((items.next().unwrap().unwrap(), items.next().unwrap().unwrap()), (0, 1));
            match items.next() {
                Some(Err(DataError::Worker { batch: 2, message })) => assert_eq!(message, "item 2 is bad"),
                other => panic!("{other:?}"),
            }
            assert!(items.next().is_none());
        }
    }

    #[test]
    fn dropping_it_ends_unfinished_work() {
        let make: Make<()> = Arc::new(|_, stop| {
            while !stop.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            Ok(())
        });
        // Returns only because the flag reaches the workers, which are then joined.
        drop(Prefetch::new(Arc::clone(&make), 0..10, 3, 2));
        assert_eq!(Arc::strong_count(&make), 1);
    }

    #[test]
    fn an_empty_range_is_an_empty_iterator() {
        let make: Make<()> = Arc::new(|_, _| Ok(()));
        #[expect(clippy::reversed_empty_ranges, reason = "resuming behind the last batch gives such a range")]
        let behind = 7..5;
        for range in [0..0, 5..5, behind] {
            assert_eq!(Prefetch::new(Arc::clone(&make), range, 2, 2).count(), 0);
        }
    }
}
