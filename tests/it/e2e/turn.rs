//! Which tests may run beside each other: those that keep to their namespace. Who replaces the operator, measures or fills the machine
//! with encoders is alone.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static CLUSTER: RwLock<()> = RwLock::new(());

/// Until this value goes, others that share run too.
pub(crate) fn shared() -> RwLockReadGuard<'static, ()> {
    CLUSTER.read().unwrap_or_else(PoisonError::into_inner)
}

/// Until this value goes, nothing else runs.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    CLUSTER.write().unwrap_or_else(PoisonError::into_inner)
}
