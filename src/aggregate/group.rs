//! Outputs that share their sums: outputs of one head that are cut into the same chunks.

use super::Blend;
use super::axis::{AxisPlan, ChunkBox};

use super::planned::PlannedOutput;
use crate::sample::Grid;

/// Outputs that share sums. The voxels of each output are worked out from the means of a chunk, so
/// the outputs share the means, too.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) head: usize,
    /// Channels of a prediction.
    pub(super) channels: usize,
    pub(super) chunk: [usize; 3],
    pub(super) axes: [AxisPlan; 3],
    /// The indices of the outputs in the plan, ascending.
    pub(super) outputs: Vec<usize>,
}

impl Group {
    /// The groups of outputs, in the order of their first outputs. Outputs of one head have one
    /// shape.
    pub(super) fn all(outputs: &[PlannedOutput], grid: &Grid, blend: Blend) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for (n, planned) in outputs.iter().enumerate() {
            let (head, chunk) = (planned.output.head, planned.layout.chunk);
            let known = |group: &&mut Self| group.head == head && group.chunk == chunk;
            match groups.iter_mut().find(known) {
                Some(group) => group.outputs.push(n),
                None => groups.push(Self::new(planned, n, grid, blend)),
            }
        }
        groups
    }

    fn new(planned: &PlannedOutput, n: usize, grid: &Grid, blend: Blend) -> Self {
        let (output, chunk) = (&planned.output, planned.layout.chunk);
        let (volume, overlap) = (grid.volume(), grid.overlap());
        let axes = std::array::from_fn(|a| {
            let starts: Vec<i64> = grid.starts(a).collect();
            let (patch, volume) = ((grid.patch()[a], overlap[a]), (volume[a], output.factor[a]));
            AxisPlan::new(blend, &starts, patch, volume, chunk[a])
        });
        Self { head: output.head, channels: output.channels, chunk, axes, outputs: vec![n] }
    }

    /// Shape of a prediction, `c, z, y, x`.
    pub(super) fn prediction(&self) -> [usize; 4] {
        let [z, y, x] = &self.axes;
        [self.channels, z.patch, y.patch, x.patch]
    }

    /// Voxels of a chunk, of one channel.
    pub(super) fn chunk_voxels(&self) -> usize {
        self.chunk.iter().product()
    }

    /// Bytes of the sums of a chunk, over all channels.
    pub(super) fn sum_bytes(&self, blend: Blend) -> usize {
        let item = if blend == Blend::Crop { size_of::<f32>() } else { size_of::<f64>() };
        self.chunk_voxels() * self.channels * item
    }

    /// Chunks along each axis.
    pub(super) fn chunks(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.axes[a].chunks())
    }

    /// Index of a chunk in C order of the chunk grid.
    pub(super) fn chunk_number(&self, [z, y, x]: [usize; 3]) -> usize {
        let [_, rows, columns] = self.chunks();
        (z * rows + y) * columns + x
    }

    /// The chunks that the patch at a place of the grid contributes to.
    pub(super) fn chunks_of(&self, place: [usize; 3]) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [z, y, x] = std::array::from_fn(|a| self.axes[a].chunks_of(place[a]));
        z.flat_map(move |z| {
            let x = x.clone();
            y.clone().flat_map(move |y| x.clone().map(move |x| [z, y, x]))
        })
    }

    /// The voxels of the chunk at `at` (chunk grid) that lie in the outputs, along each axis.
    pub(super) fn inside(&self, at: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|a| self.axes[a].inside(at[a]))
    }

    /// The box of the chunk at `at` (chunk grid) that the patch at `place` (place grid) contributes
    /// to.
    pub(super) fn chunk_box(&self, place: [usize; 3], at: [usize; 3]) -> ChunkBox {
        std::array::from_fn(|a| self.axes[a].part(place[a], at[a]))
    }

    /// How many patches contribute to a chunk.
    pub(super) fn members(&self, at: [usize; 3]) -> usize {
        (0..3).map(|a| self.axes[a].members(at[a]).len()).product()
    }

    /// The place in the grid of the patch whose contribution is the `rank`-th to be added to a
    /// chunk.
    pub(super) fn member(&self, walk: [usize; 3], at: [usize; 3], rank: usize) -> [usize; 3] {
        let members: [&[usize]; 3] = std::array::from_fn(|a| self.axes[a].members(at[a]));
        let (mut rank, mut place) = (rank, [0; 3]);
        for a in walk.into_iter().rev() {
            place[a] = members[a][rank % members[a].len()];
            rank /= members[a].len();
        }
        place
    }

    /// The rank of a member.
    pub(super) fn rank(&self, walk: [usize; 3], at: [usize; 3], place: [usize; 3]) -> usize {
        walk.into_iter().fold(0, |rank, a| {
            let members = self.axes[a].members(at[a]);
            rank * members.len() + members.partition_point(|member| *member < place[a])
        })
    }
}
