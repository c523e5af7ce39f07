//! Unique names.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// 16 hexadecimal digits that no other call gives, in any process of any machine: made of the
/// system's random numbers; the process id, because a forked process has the same random numbers;
/// the time; and a counter.
pub(crate) fn id() -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&RandomState::new().build_hasher().finish().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    hasher.update(&time.as_nanos().to_le_bytes());
    hasher.update(&COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_id_comes_twice_whatever_the_thread() {
        let ids = || (0..1000).map(|_| super::id()).collect::<Vec<_>>();
        let all: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ids)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 4000);
        assert!(all.iter().all(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
