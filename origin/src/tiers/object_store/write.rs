//! Put and delete: conditional writes, repeated until it is known what became of them.
//!
//! Each looks at what is there, decides (`decide`), and writes only if that is still there. After a failure it looks
//! again, so a write whose answer was lost is found, and one that comes late fails on its condition (`doubt`).
//!
//! Why the newest of several versions stays, also when two origins write them. Versions have a total order (`decide`), and
//! each write names the version that it replaces by its `ETag`, so it is enough that this one was older than the writer's:
//!
//! ```text
//! read an older one, another replaced it   → 412, look again
//! create, another was faster               → 412 or 409, look again
//! the answer was lost, the write done      → the next look finds our own version: stored, or a newer one: superseded
//! the answer was lost, the write comes     → it is done by itself or by its repetition; the other one gets 412, looks and
//!                                            finds our own version
//! HEAD mixes two versions                  → before a replacement two answers must agree (`look_again`), and only a state
//!                                            that a PUT answered is taken for granted later (`guess`)
//! ```
//!
//! One way is left: an `ETag` of S3 is the MD5 of the bytes. Where a newer version has the very bytes of the one that was
//! looked at, its replacement by one that lies between the two is not noticed. In one process `doubt` prevents it; between
//! two nothing can, short of changing the bytes.
//!
//! Bodies go in one request of any size: conditional multipart uploads do not exist in every store, the whole body is in
//! memory anyway, and one request takes 5 GB (docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Attributes, PutPayload};
use tokio::time::{sleep, timeout};

use super::bucket::Bucket;
use super::counters::Request;
use super::decide::{self, DeleteStep, Likeness, PutStep, State, There};
use super::doubt::{Ticket, Write};
use super::failure::{Failure, Fault};
use super::fields::{self, Content};
use super::requests::backoff;
use super::{Certainty, Remembered, Shared};
use crate::memory::blob::Uid;
use crate::tiers::{Put, Record, Removed};

/// The largest body of one request (S3).
const BODY_BYTES_MAX: u64 = 5 * 1_024 * 1_024 * 1_024;
/// What is tried of a put or a delete at most, counting those whose condition was not met: others write the same key.
const STEPS_MAX: u32 = 24;

const REPLACEABLE: &str = "a write that was not answered may still replace the same bytes";

/// What a conditional write puts there.
struct Replacement {
    attributes: Attributes,
    body: PutPayload,
    bytes: u64,
    likeness: Likeness,
    uid: Option<Uid>,
    sequence: u64,
}

/// A write that was sent. In doubt when it is dropped, unless it was settled.
struct InDoubt<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl InDoubt<'_> {
    /// Settles it if the answer says that it was done, or will never be.
    fn settle_by<T>(mut self, result: &Result<T, Failure>) {
        let is_open = matches!(result, Err(failure) if !matches!(failure.fault, Fault::Conflict | Fault::Denied | Fault::Undone));
        if let (false, Some(ticket)) = (is_open, &self.ticket) {
            self.shared.doubts.settle(ticket);
            self.ticket = None;
        }
    }
}

impl Drop for InDoubt<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.shared.doubts.abandon(ticket, self.shared.now());
        }
    }
}

impl Shared {
    pub(super) async fn put(&self, record: &Arc<Record>, body: &[Bytes]) -> Result<Put, Failure> {
        let key = self.requests.place.key(&record.path);
        let key =
            key.ok_or_else(|| Failure::new(Fault::Denied, "a bucket can have no object of this name"))?;
        if record.size > BODY_BYTES_MAX {
            return Err(Failure::new(
                Fault::Denied,
                "an object of more than 5 GB cannot be stored in a bucket",
            ));
        }
        let checksum = fields::checksum(body);
        let attributes = fields::of_version(self.requests.place.scheme, record, checksum);
        let replacement = Replacement {
            attributes,
            body: body.iter().filter(|piece| !piece.is_empty()).cloned().collect(),
            bytes: record.size,
            likeness: Likeness::Exact { size: record.size, checksum },
            uid: Some(record.uid),
            sequence: record.sequence,
        };
        let put = async {
            let _turn = self.turn(&record.path).lock().await;
            if self.fence().bars(&record.path, record.sequence) {
                return Ok(Put::Superseded);
            }
            self.needs_conditions().await?;
            self.put_in_turn(&key, record, &replacement).await
        };
        within(self.requests.limits.call_for(record.size), put).await
    }

    async fn put_in_turn(
        &self,
        key: &Path,
        record: &Arc<Record>,
        replacement: &Replacement,
    ) -> Result<Put, Failure> {
        let mut guess = self.guess(record);
        let mut trial = Trial::default();
        loop {
            let step = match guess.take() {
                Some(state) => Ok(PutStep::Write(Some(state))),
                None => self.put_step(record, key).await,
            };
            let (state, certainty) = match step {
                Ok(PutStep::Superseded) => return Ok(Put::Superseded),
                Ok(PutStep::Stored(state)) => (state, Certainty::Seen),
                Ok(PutStep::Write(expected)) => {
                    match self.write_once(key, expected.as_ref(), replacement).await {
                        Ok(state) => {
                            self.requests.counters.wrote(replacement.bytes);
                            (state, Certainty::Written)
                        }
                        Err(failure) => {
                            self.remembered.invalidate(&*record.path);
                            trial.again(self, failure).await?;
                            continue;
                        }
                    }
                }
                Err(failure) if failure.fault == Fault::Conflict => {
                    trial.again(self, failure).await?;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            if self.doubts.awaits(key.as_ref(), &state.etag, (Some(record.uid), record.sequence), self.now())
            {
                return Err(Failure::new(Fault::Undone, REPLACEABLE));
            }
            self.remember(state, record, certainty);
            return Ok(Put::Stored);
        }
    }

    async fn put_step(&self, record: &Record, key: &Path) -> Result<PutStep, Failure> {
        let there = self.look(&record.path, key).await?;
        let step = decide::put(there.as_ref(), record);
        if let (PutStep::Write(_), Some(there)) = (&step, &there) {
            self.look_again(&record.path, key, there).await?;
        }
        Ok(step)
    }

    /// A conflict unless what is there is what it was. Not every server answers HEAD from one moment: one that takes the
    /// headers from a version and the `ETag` from the next would have us replace the newer by one that is only newer than
    /// the older. What two answers agree on, one after the other, belongs together.
    async fn look_again(&self, path: &str, key: &Path, before: &There) -> Result<(), Failure> {
        let now = self.look(path, key).await?;
        if now.as_ref() == Some(before) {
            return Ok(());
        }
        Err(Failure::new(Fault::Conflict, "the object changes while it is looked at"))
    }

    pub(super) async fn delete(&self, path: &str, through: u64) -> Result<Removed, Failure> {
        let Some(key) = self.requests.place.key(path) else { return Ok(Removed::Nothing) };
        let delete = async {
            let _turn = self.turn(path).lock().await;
            self.needs_conditions().await?;
            self.requests.bucket().quiet(&key).await;
            let removed = self.delete_in_turn(path, &key, through).await?;
            self.fence().raise(path, through);
            Ok(removed)
        };
        within(self.requests.limits.call_for(0), delete).await
    }

    async fn delete_in_turn(&self, path: &str, key: &Path, through: u64) -> Result<Removed, Failure> {
        let mut trial = Trial::default();
        // What was tried may have been done without an answer.
        let mut absent = Removed::Nothing;
        loop {
            self.remembered.invalidate(path);
            let there = self.look(path, key).await?;
            let step = decide::delete(there.as_ref(), through);
            let must_mark = self.requests.bucket().has_doubts() && self.may_come_back(key, there.as_ref());
            let result = match (step, must_mark) {
                (DeleteStep::Newer, _) => return Ok(Removed::Newer),
                (DeleteStep::Nothing, false) => return Ok(absent),
                (DeleteStep::Nothing, true) => match self.mark(path, key, there.as_ref(), through).await {
                    Ok(()) => return Ok(absent),
                    failed => failed,
                },
                (DeleteStep::Remove, true) => {
                    absent = Removed::Gone;
                    self.mark(path, key, there.as_ref(), through).await
                }
                (DeleteStep::Remove, false) => {
                    absent = Removed::Gone;
                    self.remove_once(key).await
                }
            };
            match result {
                Ok(()) => return Ok(Removed::Gone),
                Err(failure) => trial.again(self, failure).await?,
            }
        }
    }

    /// Whether a write in doubt would bring something back if the key were just absent, or stayed as it is.
    fn may_come_back(&self, key: &Path, there: Option<&There>) -> bool {
        let now = self.now();
        match there {
            Some(There { content: Content::Deleted { .. }, state }) => {
                self.doubts.awaits(key.as_ref(), &state.etag, (None, 0), now)
            }
            _ => self.doubts.awaits_absence(key.as_ref(), now),
        }
    }

    /// Leaves a marker in the place of an object.
    async fn mark(&self, path: &str, key: &Path, there: Option<&There>, through: u64) -> Result<(), Failure> {
        if let Some(there) = there {
            self.look_again(path, key, there).await?;
        }
        // No two have the same bytes: a write in doubt waits for the ETag of one of them at most.
        let body = format!("deleted up to {through}, {}\n", self.unique());
        let marker = Replacement {
            attributes: fields::of_marker(self.requests.place.scheme, through),
            bytes: body.len() as u64,
            body: body.into(),
            likeness: Likeness::Unlike,
            uid: None,
            sequence: through,
        };
        self.write_once(key, there.map(|there| &there.state), &marker).await?;
        self.note_marker(path);
        Ok(())
    }

    /// Takes a marker away when nothing is in doubt any more; false means later.
    pub(super) async fn unmark(&self, path: &str) -> Result<bool, Failure> {
        let Some(key) = self.requests.place.key(path) else { return Ok(true) };
        let _turn = self.turn(path).lock().await;
        if self.doubts.is_open(key.as_ref(), self.now()) {
            return Ok(false);
        }
        match self.look(path, &key).await? {
            Some(There { content: Content::Deleted { .. }, .. }) => {
                self.remove_once(&key).await?;
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    async fn write_once(
        &self,
        key: &Path,
        expected: Option<&State>,
        replacement: &Replacement,
    ) -> Result<State, Failure> {
        if self.doubts.awaits_deletion(key.as_ref(), self.now()) {
            return Err(Failure::new(
                Fault::Undone,
                "a delete of the object was not answered and may still be done",
            ));
        }
        let Replacement { attributes, body, bytes, likeness, uid, sequence } = replacement;
        // Not even without an acknowledgement: what was acknowledged before would be lost by what waits.
        if self.doubts.awaits_like(key.as_ref(), *likeness, (*uid, *sequence), self.now()) {
            return Err(Failure::new(Fault::Undone, REPLACEABLE));
        }
        let write = match expected {
            None => Write::Create,
            Some(state) => Write::Replace {
                etag: Arc::clone(&state.etag),
                likeness: state.likeness,
                uid: *uid,
                sequence: *sequence,
            },
        };
        let _place = self.requests.enter_write().await?;
        let bucket = self.requests.bucket();
        let doubt = self.sent(&bucket, key, write)?;
        let attempt = bucket.write(key, expected, attributes.clone(), (body.clone(), *likeness));
        let result = self.requests.timed(Request::Put, *bytes, attempt).await;
        doubt.settle_by(&result);
        result
    }

    async fn remove_once(&self, key: &Path) -> Result<(), Failure> {
        let _place = self.requests.enter_write().await?;
        let bucket = self.requests.bucket();
        let doubt = self.sent(&bucket, key, Write::Delete)?;
        let result = self.requests.timed(Request::Delete, 0, bucket.remove(key)).await;
        doubt.settle_by(&result);
        result
    }

    /// Notes a write before it is sent.
    fn sent(&self, bucket: &Bucket, key: &Path, write: Write) -> Result<InDoubt<'_>, Failure> {
        if !bucket.has_doubts() {
            return Ok(InDoubt { shared: self, ticket: None });
        }
        let ticket = self.doubts.begin(key.as_ref(), write);
        let full = || Failure::new(Fault::Undone, "too many writes were not answered by the object store");
        Ok(InDoubt { shared: self, ticket: Some(ticket.ok_or_else(full)?) })
    }

    /// What is there, when it was written by us a moment ago and is older: the condition of the write will tell.
    fn guess(&self, record: &Record) -> Option<State> {
        let Remembered { state, record: there, certainty } = self.remembered.get(&*record.path)?;
        (certainty == Certainty::Written && there.sequence < record.sequence).then_some(state)
    }
}

/// What is left of a put or delete.
#[derive(Default)]
struct Trial {
    steps: u32,
    failures: u32,
    is_refreshed: bool,
}

impl Trial {
    /// Waits as long as another step needs; an error when there is none.
    async fn again(&mut self, shared: &Shared, failure: Failure) -> Result<(), Failure> {
        self.steps += 1;
        let requests = &shared.requests;
        match failure.fault {
            Fault::Conflict if self.steps < STEPS_MAX => return Ok(()),
            Fault::Denied if !self.is_refreshed && requests.refresh().unwrap_or(false) => {
                self.is_refreshed = true;
            }
            _ if failure.may_pass() && self.failures + 1 < requests.limits.attempts_max => {
                self.failures += 1;
                sleep(backoff(self.failures)).await;
            }
            _ => return Err(failure),
        }
        requests.counters.retried();
        Ok(())
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(limit, call).await.unwrap_or_else(|_| Err(Failure::slow(limit)))
}
