//! Counting the voxels of a block by label, or summing their weights.

use std::collections::BTreeMap;

use super::label::{Label, real};
use crate::{Element, Scaling};

/// Voxels that are compared with the previous label together.
const STRETCH: usize = 64;

/// A label, as text, that does not fit `i64`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Beyond(pub(super) String);

/// Adds to `counts` how many voxels have each label.
///
/// Label maps consist of long runs: each run takes one look-up, and voxels with the same label are
/// skipped in stretches.
pub(super) fn labels<'a, T: Label>(
    rows: impl Iterator<Item = &'a [u8]>,
    counts: &mut BTreeMap<i64, u64>,
) -> Result<(), Beyond> {
    let (mut label, mut run) = (T::default(), 0);
    for stretch in rows.flat_map(|row| row.chunks(STRETCH * size_of::<T>())) {
        let goes_on = |voxel| voxel == label;
        // Without an early exit, the loop compiles to vector instructions.
        if elements::<T>(stretch).fold(true, |all, voxel| all & goes_on(voxel)) {
            run += (stretch.len() / size_of::<T>()) as u64;
            continue;
        }
        for voxel in elements::<T>(stretch) {
            if voxel != label {
                count_run(counts, label, run)?;
                (label, run) = (voxel, 0);
            }
            run += 1;
        }
    }
    count_run(counts, label, run)
}

fn count_run<T: Label>(counts: &mut BTreeMap<i64, u64>, label: T, run: u64) -> Result<(), Beyond> {
    if run == 0 {
        return Ok(());
    }
    let label = label.label().ok_or_else(|| Beyond(format!("{label:?}")))?;
    *counts.entry(label).or_insert(0) += run;
    Ok(())
}

/// A voxel that is not a weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NoWeight {
    /// Its row among the given rows.
    pub(super) row: usize,
    /// Its index in the row.
    pub(super) column: usize,
    /// Negative, infinite or NaN.
    pub(super) weight: f64,
}

/// Adds weights to `sum`: each row in order, then the rows in order, so that a block has the same
/// sum wherever it is computed and however its planes are divided.
pub(super) fn weights<'a, T: Element>(
    rows: impl Iterator<Item = &'a [u8]>,
    scaling: Option<Scaling>,
    sum: &mut f64,
) -> Result<(), NoWeight> {
    for (row, voxels) in rows.enumerate() {
        let mut of_row = 0.0;
        for (column, voxel) in elements::<T>(voxels).enumerate() {
            let weight = real(voxel, scaling);
            if !(0.0..=f64::MAX).contains(&weight) {
                return Err(NoWeight { row, column, weight });
            }
            of_row += weight;
        }
        *sum += of_row;
    }
    Ok(())
}

fn elements<T: Element>(bytes: &[u8]) -> impl Iterator<Item = T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_of_any_length_are_counted_as_voxel_by_voxel(
            runs in prop::collection::vec((-3_i16..4, 1_usize..200), 1..30),
            width in 1_usize..300,
        ) {
            let voxels: Vec<i16> =
                runs.iter().flat_map(|(label, n)| std::iter::repeat_n(*label, *n)).collect();
            let mut expected = BTreeMap::new();
            for voxel in &voxels {
                *expected.entry(i64::from(*voxel)).or_insert(0_u64) += 1;
            }
            let rows = voxels.chunks(width).map(bytemuck::cast_slice::<i16, u8>);
            let mut found = BTreeMap::new();
            labels::<i16>(rows, &mut found).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_no_label_or_no_weight_is_told() {
        let voxels = [1_u64, 1 << 63, u64::MAX];
        let rows = std::iter::once(bytemuck::cast_slice(&voxels));
        let found = labels::<u64>(rows, &mut BTreeMap::new());
        assert_eq!(found, Err(Beyond("9223372036854775808".into())));
        let voxels = [0.0, 1.0, -0.0, f64::MAX, f64::NAN, -1.0];
        let rows = voxels.chunks(2).map(bytemuck::cast_slice);
        let found = weights::<f64>(rows, None, &mut 0.0).unwrap_err();
        assert_eq!((found.row, found.column, found.weight.is_nan()), (2, 0, true));
    }
}
