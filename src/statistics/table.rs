//! Exact counts of every value of an 8-bit or 16-bit type.

use crate::{Element, f16};

/// Tables that are filled side by side, so that counting equal neighbours does not wait for the
/// previous store.
const LANES: usize = 4;
/// Voxels that can be counted before the 32-bit counts must be added to the 64-bit ones.
const PENDING_MAX: usize = 1 << 31;
/// The least subnormal, of which all finite 16-bit floats are whole multiples.
pub(super) const HALF_UNIT: f64 = 1.0 / (1 << 24) as f64;

/// Counts by bit pattern: index `v as u8` or `v as u16`.
pub(super) enum Table {
    Bytes(Counts<256>),
    Words(Counts<65536>),
}

impl Table {
    /// For voxels of 1 or 2 bytes.
    pub(super) fn new(item_bytes: usize) -> Self {
        if item_bytes == 1 { Self::Bytes(Counts::new()) } else { Self::Words(Counts::new()) }
    }

    /// Counts voxels in the byte order of this machine; a whole number of them.
    pub(super) fn add(&mut self, voxels: &[u8]) {
        match self {
            Self::Bytes(counts) => {
                for part in voxels.chunks(PENDING_MAX) {
                    counts.make_room(part.len());
                    count_bytes(counts.lanes(), part);
                }
            }
            Self::Words(counts) => {
                for part in voxels.chunks(PENDING_MAX) {
                    counts.make_room(part.len() / 2);
                    count_words(counts.lanes(), part);
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Bytes(counts), Self::Bytes(other)) => counts.merge(other),
            (Self::Words(counts), Self::Words(other)) => counts.merge(other),
            _ => unreachable!("the accumulator merges equal types only"),
        }
    }

    /// Every value that occurs and how often, ascending.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    pub(super) fn finish(self, signed: bool) -> Vec<(i64, u64)> {
        let (totals, half) = match self {
            Self::Bytes(counts) => (counts.finish(), 128),
            Self::Words(counts) => (counts.finish(), 32768),
        };
        let length = totals.len() as i64;
        let first = if signed { -half } else { 0 };
        (first..first + length)
            .map(|value| (value, totals[value.rem_euclid(length) as usize]))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// The same for voxels that are 16-bit floats, in units of [`HALF_UNIT`], with both zeros as
    /// one value; and the number of infinite and NaN voxels.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn finish_halves(self) -> (Vec<(i64, u64)>, u64) {
        // As signed integers, the bit patterns of negative floats come first, in reverse order.
        let mut patterns = self.finish(true);
        let negative = patterns.partition_point(|(bits, _)| *bits < 0);
        patterns[..negative].reverse();
        let mut counts: Vec<(i64, u64)> = Vec::with_capacity(patterns.len());
        let mut non_finite = 0;
        for (bits, count) in patterns {
            let value = Element::to_f64(f16::from_bits(bits as u16)) / HALF_UNIT;
            match counts.last_mut() {
                _ if !value.is_finite() => non_finite += count,
                Some((last, zeros)) if *last == value as i64 => *zeros += count,
                _ => counts.push((value as i64, count)),
            }
        }
        (counts, non_finite)
    }
}

pub(super) struct Counts<const N: usize> {
    /// [`LANES`] tables of counts that were not added to `totals` yet.
    lanes: Box<[[u32; N]]>,
    pending: usize,
    totals: Vec<u64>,
}

impl<const N: usize> Counts<N> {
    fn new() -> Self {
        Self { lanes: vec![[0; N]; LANES].into_boxed_slice(), pending: 0, totals: vec![0; N] }
    }

    fn lanes(&mut self) -> &mut [[u32; N]; LANES] {
        (&mut *self.lanes).try_into().expect("made with this length")
    }

    /// Must be called before counting `voxels` more, at most [`PENDING_MAX`].
    fn make_room(&mut self, voxels: usize) {
        if self.pending + voxels > PENDING_MAX {
            self.flush();
        }
        self.pending += voxels;
    }

    fn flush(&mut self) {
        if self.pending == 0 {
            return;
        }
        for lane in &mut self.lanes {
            for (total, count) in self.totals.iter_mut().zip(lane) {
                *total += u64::from(std::mem::take(count));
            }
        }
        self.pending = 0;
    }

    fn merge(&mut self, other: Self) {
        for (total, count) in self.totals.iter_mut().zip(other.finish()) {
            *total += count;
        }
    }

    fn finish(mut self) -> Vec<u64> {
        self.flush();
        self.totals
    }
}

#[allow(clippy::cast_possible_truncation)]
fn count_words([a, b, c, d]: &mut [[u32; 65536]; LANES], voxels: &[u8]) {
    let (words, rest) = voxels.as_chunks::<8>();
    for word in words {
        let word = u64::from_ne_bytes(*word);
        a[usize::from(word as u16)] += 1;
        b[usize::from((word >> 16) as u16)] += 1;
        c[usize::from((word >> 32) as u16)] += 1;
        d[usize::from((word >> 48) as u16)] += 1;
    }
    for voxel in rest.as_chunks::<2>().0 {
        a[usize::from(u16::from_ne_bytes(*voxel))] += 1;
    }
}

fn count_bytes([a, b, c, d]: &mut [[u32; 256]; LANES], voxels: &[u8]) {
    let (groups, rest) = voxels.as_chunks::<4>();
    for [i, j, k, l] in groups {
        a[usize::from(*i)] += 1;
        b[usize::from(*j)] += 1;
        c[usize::from(*k)] += 1;
        d[usize::from(*l)] += 1;
    }
    for voxel in rest {
        a[usize::from(*voxel)] += 1;
    }
}
