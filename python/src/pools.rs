//! The pools of worker threads: one for each number of threads that was asked for, made at first
//! use and kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use voxpatch::{Pool, Result};

static POOLS: Mutex<BTreeMap<usize, Arc<Pool>>> = Mutex::new(BTreeMap::new());

/// The pool of this many threads; `None` means one for each processor that this process may use. A
/// forked process starts threads of its own.
pub fn pool(threads: Option<usize>) -> Result<Arc<Pool>> {
    let threads = threads.unwrap_or(0);
    // Held for a lookup, or while a pool is made, and always with the interpreter attached: no
    // other thread of Python can fork meanwhile.
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.get(&threads) {
        return Ok(Arc::clone(pool));
    }
    let pool = Arc::new(Pool::new(threads)?);
    pools.insert(threads, Arc::clone(&pool));
    Ok(pool)
}
