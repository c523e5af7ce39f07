//! Plans: which outputs are made of which patches, worked out before any voxel is read.

use super::axis::AxisPlan;
use super::group::Group;
use super::layouts::{self, Uncut, least_common_multiple};
use super::planned::{COORDINATES, GRID, PlannedOutput, SourceVolume, uncut};
use super::{Blend, Output, Part};
use crate::layout::ChunkLayout;
use crate::sample::{Grid, GridSampler};
use crate::{Error, Hint, Region, Result, Volume};

/// A plan to blend the predictions of the patches of a grid into one volume or several.
///
/// Predict patches in [`Plan::order`]: at any time only a band of chunks is then begun and not
/// finished, which takes [`Plan::memory`]. The sums of every voxel are taken in that order too, in
/// whatever order predictions arrive.
#[derive(Debug)]
pub struct Plan {
    pub(super) source: SourceVolume,
    pub(super) grid: Grid,
    pub(super) blend: Blend,
    /// The axes in the order in which patches proceed, the slowest first.
    pub(super) walk: [usize; 3],
    pub(super) outputs: Vec<PlannedOutput>,
    pub(super) groups: Vec<Group>,
}

impl Plan {
    /// Plans outputs on the grid that `sampler` lays over `source`. Reads and writes nothing.
    ///
    /// A voxel `n` of an output with a factor `f` covers the voxels `f n` to `f n + f - 1` of the
    /// source, on each axis; the affine of the output gives their middle. The remainder at the end
    /// of an axis, fewer than `f` voxels, is covered by no voxel of the output.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the patch does not fit the source, if there is no output or
    /// one is given twice, if a factor does not divide the patch, or if a scale is not positive.
    /// [`Error::InvalidLayout`] for impossible chunks and shards.
    pub fn new(
        source: &Volume,
        sampler: &GridSampler,
        blend: Blend,
        outputs: Vec<Output>,
    ) -> Result<Self> {
        blend.check()?;
        let grid = sampler.grid(source.shape())?;
        if outputs.is_empty() {
            return Err(Error::invalid("outputs", 0, "name one at least"));
        }
        for (n, output) in outputs.iter().enumerate() {
            output.check(grid.patch())?;
            if outputs[..n].iter().any(|other| other.name == output.name) {
                return Err(Error::invalid("output", &output.name, "is given twice"));
            }
            let shape = |output: &Output| (output.channels, output.factor);
            let same_head = outputs[..n].iter().find(|other| other.head == output.head);
            if let Some(other) = same_head.filter(|other| shape(other) != shape(output)) {
                let reason = format!(
                    "is of head {} like {}, and has other channels or another factor: give it a \
                     head of its own",
                    output.head, other.name
                );
                return Err(Error::invalid("output", &output.name, reason));
            }
        }
        let uncut = |output| uncut(output, source, &grid);
        let uncut: Vec<Uncut> = outputs.into_iter().map(uncut).collect::<Result<_>>()?;
        let layouts = layouts::choose(&uncut, walk(&grid)[0])?;
        let planned = |(uncut, layout)| PlannedOutput::new(uncut, layout);
        let outputs: Vec<_> = uncut.into_iter().zip(layouts).map(planned).collect();
        let groups = Group::all(&outputs, &grid, blend);
        let fields = &source.attributes().source.fields;
        let field = |name: &str| Some((name.to_owned(), fields.get(name)?.clone()));
        let source = SourceVolume {
            path: source.place(),
            name: source.name().to_string(),
            voxels: source.voxel_digest().to_owned(),
            affine: *source.affine(),
            space: source.attributes().space,
            fields: COORDINATES.into_iter().chain(GRID).filter_map(field).collect(),
        };
        Ok(Self { walk: walk(&grid), source, grid, blend, outputs, groups })
    }

    /// The grid of the patches.
    #[must_use]
    pub const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// How predictions are blended.
    #[must_use]
    pub const fn blend(&self) -> Blend {
        self.blend
    }

    /// The outputs, in the order in which they were given.
    #[must_use]
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &Output> {
        self.outputs.iter().map(|planned| &planned.output)
    }

    /// How many predictions a patch has: one for each head, up to the last head that an output is
    /// made of.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.groups.iter().map(|group| group.head + 1).max().unwrap_or(0)
    }

    /// Shape of the prediction of one patch by a head (from 0), `c, z, y, x`; `None` if no output
    /// is made of that head.
    #[must_use]
    pub fn prediction(&self, head: usize) -> Option<[usize; 4]> {
        self.groups.iter().find(|group| group.head == head).map(Group::prediction)
    }

    /// The chunks, shards and codec of the output with index `n`.
    #[must_use]
    pub fn layout(&self, n: usize) -> Option<&ChunkLayout> {
        self.outputs.get(n).map(|planned| &planned.layout)
    }

    /// The numbers of all places, in the order that keeps the least in memory: proceeding along the
    /// axis across which a patch and its plane of the volume are smallest, then along the next.
    pub fn order(&self) -> impl Iterator<Item = u64> + use<> {
        order(&self.grid)
    }

    /// Most bytes of the chunks that are begun and not finished at any one time, if predictions
    /// come in [`Plan::order`]. These chunks span the whole volume across the order's first axis;
    /// along that axis they are the layers that a patch reaches into before all patches of these
    /// layers have come. Sums that several outputs share are counted once.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let [outer, ..] = self.walk;
        let bytes = |group: &Group| {
            let layers = |(a, axis): (usize, &AxisPlan)| {
                (if a == outer { axis.open_layers() } else { axis.chunks() }) as u64
            };
            let chunks: u64 = group.axes.iter().enumerate().map(layers).product();
            chunks.saturating_mul(group.sum_bytes(self.blend) as u64)
        };
        self.groups.iter().map(bytes).fold(0, u64::saturating_add)
    }

    /// Cuts the outputs into `parts` boxes of whole shards, one behind the other along the order's
    /// first axis. A process of its own can make each part: on one machine, or on several machines
    /// whose file system locks folders between machines (NFS does not). A part needs the
    /// predictions of all patches that touch its box, so patches at a boundary are predicted for
    /// both sides ([`Part::shared`]).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there are fewer shards along that axis.
    pub fn split(&self, parts: usize) -> Result<Vec<Part>> {
        let [outer, ..] = self.walk;
        let length = self.grid.volume()[outer];
        let unit = self.outputs.iter().fold(1, |unit, planned| {
            let shard = planned.layout.shard[outer].saturating_mul(planned.output.factor[outer]);
            least_common_multiple(unit, shard)
        });
        let units = length.div_ceil(unit);
        if parts == 0 || parts > units {
            let reason = format!(
                "the outputs can be cut into 1 to {units} parts along {}, at multiples of {unit} \
                 voxels, where shards of all outputs end; flatter shards allow more",
                ["z", "y", "x"][outer]
            );
            return Err(Error::invalid("parts", parts, reason).hinting(Hint::SameShards));
        }
        let cut = |n: usize| (units * n / parts * unit).min(length);
        Ok((0..parts).map(|index| self.part(index, parts, [cut(index), cut(index + 1)])).collect())
    }

    fn part(&self, index: usize, of: usize, [from, to]: [usize; 2]) -> Part {
        let [outer, ..] = self.walk;
        let mut region = Region::whole(self.grid.volume());
        region.start[outer] = i64::try_from(from).unwrap_or(i64::MAX);
        region.shape[outer] = to - from;
        let across: u64 =
            (0..3).filter(|a| *a != outer).map(|a| self.grid.shape()[a] as u64).product();
        let mut part =
            Part { index, of, axis: outer, range: [from, to], region, patches: 0, shared: 0 };
        for place in 0..self.grid.shape()[outer] {
            // Whether any output needs the patch for voxels in this part, and for voxels beyond it.
            let (mut inside, mut outside) = (false, false);
            for group in &self.groups {
                let [from, to] = self.inside(&part, group);
                let span = group.axes[outer].span(place);
                inside |= span.start.max(from) < span.end.min(to);
                outside |= !span.is_empty() && (span.start < from || span.end > to);
            }
            part.patches += u64::from(inside) * across;
            part.shared += u64::from(inside && outside) * across;
        }
        part
    }

    /// The ends of a part in the outputs of a group, along the axis that is cut.
    pub(super) fn inside(&self, part: &Part, group: &Group) -> [usize; 2] {
        let planned = &self.outputs[group.outputs[0]];
        part.of_output(planned.output.factor[part.axis], planned.shape[part.axis])
    }
}

/// The axes from the slowest to the fastest, chosen so that a patch's layer of the volume, which is
/// held in memory, is small along each; `z, y, x` for equal sizes.
fn walk(grid: &Grid) -> [usize; 3] {
    let share = |axis: &usize| {
        // The share of the axis that a patch covers; the layer is whole across the other axes.
        let (patch, volume) = (grid.patch()[*axis], grid.volume()[*axis]);
        (patch.min(volume), volume)
    };
    let mut walk = [0, 1, 2];
    walk.sort_by(|a, b| {
        let ((patch_a, volume_a), (patch_b, volume_b)) = (share(a), share(b));
        // Compares patch_a / volume_a with patch_b / volume_b without rounding.
        (patch_a as u128 * volume_b as u128).cmp(&(patch_b as u128 * volume_a as u128))
    });
    walk
}

/// The numbers of all places of a grid, in the order of every plan on it ([`Plan::order`]).
pub(crate) fn order(grid: &Grid) -> impl Iterator<Item = u64> + use<> {
    let (shape, walk) = (grid.shape(), walk(grid));
    let [slow, middle, fast] = walk.map(|axis| shape[axis]);
    (0..slow).flat_map(move |s| {
        (0..middle).flat_map(move |m| {
            (0..fast).map(move |f| {
                let mut at = [0; 3];
                (at[walk[0]], at[walk[1]], at[walk[2]]) = (s, m, f);
                number(shape, at)
            })
        })
    })
}

/// The number of a place in a grid of this shape.
fn number([_, rows, columns]: [usize; 3], [z, y, x]: [usize; 3]) -> u64 {
    ((z * rows + y) * columns + x) as u64
}
