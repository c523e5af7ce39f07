//! Counting voxels, part by part.

use std::collections::HashMap;

use super::cells::Cells;
use super::histogram::histogram;
use super::moments::{FloatMoments, IntegerSums};
use super::table::{HALF_UNIT, Table};
use super::{Bin, IntensityStatistics, LabelCount, LabelStatistics, Moments, Statistics};
use crate::{Dtype, Element, Error, Hint, Kind, Result, f16};

/// Most distinct labels of a label map, whose counting takes some 50 MB.
const MAX_LABELS: usize = 1 << 20;
/// Number of voxels counted together, and of floats whose moments are computed together.
const BLOCK: usize = 4096;

/// Gathers the [`Statistics`] of a volume, in one pass, from any number of parts.
///
/// Memory is bounded whatever the number of voxels: 1.5 MiB for 16-bit types, usually a few MiB for
/// wider types, up to 50 MiB for maps of a million labels.
pub struct StatisticsAccumulator {
    dtype: Dtype,
    kind: Kind,
    state: Measures,
}

enum Measures {
    /// Types of 8 and 16 bits: every value is counted, and all statistics follow from the counts.
    Table(Table),
    /// Wider integers, as measurements.
    Integers { cells: Cells, sums: IntegerSums },
    /// Floats, as measurements.
    Floats { cells: Cells, moments: FloatMoments, non_finite: u64 },
    /// Wider types and floats, as labels.
    Labels(HashMap<i128, u64>),
}

impl StatisticsAccumulator {
    /// An empty accumulator for voxels of this type and meaning.
    #[must_use]
    pub fn new(dtype: Dtype, kind: Kind) -> Self {
        let state = match kind {
            // Not in the table, so that the first voxel that is not a whole number is reported.
            Kind::Label if dtype == Dtype::Float16 => Measures::Labels(HashMap::new()),
            _ if dtype.size() <= 2 => Measures::Table(Table::new(dtype.size())),
            Kind::Label => Measures::Labels(HashMap::new()),
            Kind::Intensity | Kind::Weights if dtype.is_integer() => {
                Measures::Integers { cells: Cells::new(), sums: IntegerSums::default() }
            }
            Kind::Intensity | Kind::Weights => Measures::Floats {
                cells: Cells::new(),
                moments: FloatMoments::default(),
                non_finite: 0,
            },
        };
        Self { dtype, kind, state }
    }

    /// Counts voxels, in the byte order of this machine and with any alignment.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `voxels` ends inside a voxel. For labels also if a voxel is
    /// not a whole number or there are more than 2^20 labels, so that this is no label map.
    pub fn add(&mut self, voxels: &[u8]) -> Result<()> {
        if !voxels.len().is_multiple_of(self.dtype.size()) {
            let reason = format!("bytes are not a whole number of {} voxels", self.dtype);
            return Err(Error::invalid("voxels", voxels.len(), reason));
        }
        if let Measures::Table(table) = &mut self.state {
            table.add(voxels);
            return Ok(());
        }
        match self.dtype {
            Dtype::UInt32 => self.add_integers::<u32>(voxels),
            Dtype::UInt64 => self.add_integers::<u64>(voxels),
            Dtype::Int32 => self.add_integers::<i32>(voxels),
            Dtype::Int64 => self.add_integers::<i64>(voxels),
            Dtype::Float16 => self.add_floats::<f16>(voxels),
            Dtype::Float32 => self.add_floats::<f32>(voxels),
            Dtype::Float64 => self.add_floats::<f64>(voxels),
            // Counted in the table above.
            Dtype::UInt8 | Dtype::UInt16 | Dtype::Int8 | Dtype::Int16 => Ok(()),
        }
    }

    fn add_integers<T: Element + Into<i128>>(&mut self, voxels: &[u8]) -> Result<()> {
        let voxels = elements::<T>(voxels);
        match &mut self.state {
            Measures::Labels(labels) => count_labels(labels, voxels.map(|v| Ok(v.into()))),
            Measures::Integers { cells, sums } => {
                let mut block = Vec::with_capacity(BLOCK);
                let mut voxels = voxels.peekable();
                while voxels.peek().is_some() {
                    block.clear();
                    block.extend(voxels.by_ref().take(BLOCK).map(|voxel| {
                        sums.add(voxel.into(), 1);
                        voxel.to_f64()
                    }));
                    cells.add(&block);
                }
                Ok(())
            }
            Measures::Table(_) | Measures::Floats { .. } => Ok(()),
        }
    }

    fn add_floats<T: Element>(&mut self, voxels: &[u8]) -> Result<()> {
        match &mut self.state {
            Measures::Labels(labels) => {
                count_labels(labels, elements::<T>(voxels).map(|v| whole(v.to_f64())))
            }
            Measures::Floats { cells, moments, non_finite } => {
                let mut block = Vec::with_capacity(BLOCK);
                for part in voxels.chunks(BLOCK * size_of::<T>()) {
                    block.clear();
                    block.extend(elements::<T>(part).map(Element::to_f64));
                    let voxels = block.len();
                    if !block.iter().fold(true, |all, value| all & value.is_finite()) {
                        block.retain(|value| value.is_finite());
                    }
                    *non_finite += (voxels - block.len()) as u64;
                    cells.add(&block);
                    moments.merge(&FloatMoments::of(&block));
                }
                Ok(())
            }
            Measures::Table(_) | Measures::Integers { .. } => Ok(()),
        }
    }

    /// Adds the counts of `other`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `other` is of another type or kind, or if both together have
    /// too many labels.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        match (&mut self.state, other.state) {
            _ if (self.dtype, self.kind) != (other.dtype, other.kind) => {
                let reason = format!("cannot be merged into those of {} {}", self.dtype, self.kind);
                let value = format!("{} {}", other.dtype, other.kind);
                return Err(Error::invalid("statistics", value, reason));
            }
            (Measures::Table(table), Measures::Table(other)) => table.merge(other),
            (Measures::Integers { cells, sums }, Measures::Integers { cells: c, sums: s }) => {
                cells.merge(c);
                sums.merge(&s);
            }
            (
                Measures::Floats { cells, moments, non_finite },
                Measures::Floats { cells: c, moments: m, non_finite: n },
            ) => {
                cells.merge(c);
                moments.merge(&m);
                *non_finite += n;
            }
            (Measures::Labels(labels), Measures::Labels(other)) => {
                for (label, voxels) in other {
                    count_run(labels, label, voxels)?;
                }
            }
            _ => unreachable!("type and kind decide the state"),
        }
        Ok(())
    }

    /// The statistics of all counted voxels.
    #[must_use]
    pub fn finish(self) -> Statistics {
        let signed = matches!(self.dtype, Dtype::Int8 | Dtype::Int16);
        match self.state {
            Measures::Table(table) if self.kind == Kind::Label => {
                let counts = table.finish(signed);
                labelled(counts.into_iter().map(|(value, n)| (i128::from(value), n)).collect())
            }
            Measures::Table(table) if self.dtype == Dtype::Float16 => {
                let (counts, non_finite) = table.finish_halves();
                tabulated(&counts, HALF_UNIT, non_finite)
            }
            Measures::Table(table) => tabulated(&table.finish(signed), 1.0, 0),
            Measures::Integers { cells, sums } => {
                let bins = cells.finish();
                measured(&bins, 0, sums.finish(&bins))
            }
            Measures::Floats { cells, moments, non_finite } => {
                measured(&cells.finish(), non_finite, moments.finish())
            }
            Measures::Labels(labels) => labelled(labels.into_iter().collect()),
        }
    }
}

/// Intensity statistics from the exact count of each value. The values ascend and are in units of
/// `unit`, a power of two.
#[allow(clippy::cast_precision_loss)]
fn tabulated(counts: &[(i64, u64)], unit: f64, non_finite: u64) -> Statistics {
    let mut sums = IntegerSums::default();
    let mut bins = Vec::with_capacity(counts.len());
    for (value, count) in counts {
        sums.add((*value).into(), *count);
        bins.push(Bin { low: *value as f64, high: *value as f64, count: *count });
    }
    let (mean, std) = sums.finish(&bins);
    for bin in &mut bins {
        (bin.low, bin.high) = (bin.low * unit, bin.high * unit);
    }
    measured(&bins, non_finite, (mean * unit, std * unit))
}

fn measured(bins: &[Bin], non_finite: u64, (mean, std): (f64, f64)) -> Statistics {
    let ends = bins.first().zip(bins.last());
    Statistics::Intensity(IntensityStatistics {
        voxels: bins.iter().map(|b| b.count).sum(),
        non_finite,
        moments: ends.map(|(first, last)| Moments { min: first.low, max: last.high, mean, std }),
        bins: histogram(bins),
    })
}

fn labelled(mut counts: Vec<(i128, u64)>) -> Statistics {
    counts.sort_unstable();
    Statistics::Label(LabelStatistics {
        voxels: counts.iter().map(|(_, voxels)| voxels).sum(),
        labels: counts.into_iter().map(|(label, voxels)| LabelCount { label, voxels }).collect(),
    })
}

fn elements<T: Element>(bytes: &[u8]) -> impl Iterator<Item = T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned)
}

/// Label maps consist of long runs, and each run takes one look-up.
fn count_labels(
    labels: &mut HashMap<i128, u64>,
    voxels: impl Iterator<Item = Result<i128>>,
) -> Result<()> {
    let mut run = (0, 0);
    for label in voxels {
        let label = label?;
        if label != run.0 {
            count_run(labels, run.0, run.1)?;
            run = (label, 0);
        }
        run.1 += 1;
    }
    count_run(labels, run.0, run.1)
}

fn count_run(labels: &mut HashMap<i128, u64>, label: i128, voxels: u64) -> Result<()> {
    if voxels == 0 {
        return Ok(());
    }
    *labels.entry(label).or_insert(0) += voxels;
    if labels.len() > MAX_LABELS {
        let reason = format!(
            "is one label too many: more than {MAX_LABELS} occur, which does not look like a label \
             map; convert it as intensity"
        );
        return Err(Error::invalid("label", label, reason).hinting(Hint::AsIntensities));
    }
    Ok(())
}

/// A float as a label: a whole number that fits 64 bits.
#[allow(clippy::cast_possible_truncation)]
fn whole(value: f64) -> Result<i128> {
    let fits = (-(2_f64.powi(63))..2_f64.powi(64)).contains(&value);
    if fits && value.fract() == 0.0 {
        return Ok(value as i128);
    }
    let reason = "is not a whole number of 64 bits, so this is not a label map; convert it as \
                  intensity";
    Err(Error::invalid("label", value, reason).hinting(Hint::AsIntensities))
}
