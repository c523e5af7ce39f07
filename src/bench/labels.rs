//! Short names of rows, made of their differences.

use super::cases::{Cache, Case};
use super::row::Row;
use crate::error::show;
use crate::layout::Access;

/// The properties of cases that differ among rows.
#[derive(Debug, Clone)]
pub struct Labels {
    access: bool,
    threads: bool,
    cache: bool,
}

impl Labels {
    /// The differences among these rows.
    #[must_use]
    pub fn of(rows: &[Row]) -> Self {
        let differs = |part: fn(&Case, &Case) -> bool| {
            rows.windows(2).any(|pair| part(&pair[0].case, &pair[1].case))
        };
        Self {
            access: differs(|a, b| a.access != b.access),
            threads: differs(|a, b| a.threads != b.threads),
            cache: differs(|a, b| a.cache != b.cache),
        }
    }

    /// Names of the columns that distinguish rows; the patch is always one.
    #[must_use]
    pub fn columns(&self) -> Vec<&'static str> {
        let columns = [
            ("patch", true),
            ("access", self.access),
            ("threads", self.threads),
            ("cache", self.cache),
        ];
        columns.into_iter().filter(|(_, shown)| *shown).map(|(name, _)| name).collect()
    }

    /// The values of these columns.
    #[must_use]
    pub fn cells(&self, case: &Case) -> Vec<String> {
        let patch = show(&case.patch);
        let cells = [
            (patch, true),
            (access(case.access), self.access),
            (case.threads.to_string(), self.threads),
            (cache(case.cache).to_owned(), self.cache),
        ];
        cells.into_iter().filter(|(_, shown)| *shown).map(|(cell, _)| cell).collect()
    }

    /// The differences apart from the patch; empty if there are none.
    #[must_use]
    pub fn series(&self, case: &Case) -> String {
        let parts = [
            (access(case.access), self.access),
            (threads(case.threads), self.threads),
            (cache(case.cache).to_owned(), self.cache),
        ];
        let shown: Vec<_> =
            parts.into_iter().filter(|(_, shown)| *shown).map(|(part, _)| part).collect();
        shown.join(", ")
    }

    /// The properties that all rows share, given any row.
    #[must_use]
    pub fn common(&self, case: &Case) -> String {
        let parts = [
            (access(case.access), self.access),
            (threads(case.threads), self.threads),
            (format!("{} cache", cache(case.cache)), self.cache),
        ];
        let shown: Vec<_> =
            parts.into_iter().filter(|(_, differs)| !differs).map(|(part, _)| part).collect();
        shown.join(", ")
    }
}

fn access(access: Access) -> String {
    match access {
        Access::Random => "random".to_owned(),
        Access::Grid { overlap: [0, 0, 0] } => "grid".to_owned(),
        Access::Grid { overlap } => format!("grid, overlap {}", show(&overlap)),
    }
}

fn threads(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

fn cache(cache: Cache) -> &'static str {
    match cache {
        Cache::Warm => "warm",
        Cache::Cold => "cold",
    }
}
