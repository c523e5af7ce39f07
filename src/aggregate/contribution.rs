//! Adding the weighted voxels of a prediction to the sums of a chunk.

use std::ops::Range;

use super::Blend;
use super::axis::ChunkBox;
use super::group::Group;
use super::sums::Sums;

/// Predicted voxels, `c, z, y, x`, C-contiguous: a whole prediction, or a box of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Predicted<'a> {
    pub(super) voxels: &'a [f32],
    pub(super) shape: [usize; 4],
    /// Where the box begins in the prediction, `z, y, x`.
    pub(super) origin: [usize; 3],
}

impl<'a> Predicted<'a> {
    pub(super) fn whole(voxels: &'a [f32], shape: [usize; 4]) -> Self {
        Self { voxels, shape, origin: [0; 3] }
    }
}

impl Predicted<'_> {
    /// The first voxel of a box, `z, y, x`, whose absolute value is not below `limit`: its position
    /// in the prediction, and its value. With a limit of infinity: the first voxel that is not
    /// finite.
    pub(super) fn beyond(
        &self,
        within: &[Range<usize>; 3],
        limit: f32,
    ) -> Option<([usize; 4], f32)> {
        let [channels, planes, rows, columns] = self.shape;
        let [z, y, x] = within.clone();
        for (channel, plane) in (0..channels).flat_map(|c| z.clone().map(move |z| (c, z))) {
            for row in y.clone() {
                let at = ((channel * planes + plane) * rows + row) * columns;
                let voxels = &self.voxels[at..][x.clone()];
                // As bits without the sign, finite numbers ascend, followed by infinity, followed
                // by NaN: the maximum needs no branch.
                let size = |voxel: &f32| voxel.to_bits() & !(1 << 31);
                if voxels.iter().map(size).fold(0, u32::max) >= limit.to_bits()
                    && let Some(n) = voxels.iter().position(|voxel| size(voxel) >= limit.to_bits())
                {
                    return Some(([channel, plane, row, x.start + n], voxels[n]));
                }
            }
        }
        None
    }

    /// The rows of a box: of each channel, plane by plane.
    fn rows<'a>(&'a self, chunk_box: &'a ChunkBox) -> impl Iterator<Item = Row<'a>> {
        let [_, planes, rows, columns] = self.shape;
        let from: [usize; 3] = std::array::from_fn(|a| chunk_box[a].in_patch - self.origin[a]);
        (0..self.shape[0]).flat_map(move |channel| {
            (0..chunk_box[0].length).flat_map(move |z| {
                (0..chunk_box[1].length).map(move |y| {
                    let at = (channel * planes + from[0] + z) * rows + from[1] + y;
                    let voxels = &self.voxels[at * columns + from[2]..][..chunk_box[2].length];
                    Row { channel, z, y, voxels }
                })
            })
        })
    }

    /// A copy of the voxels of a box, to be kept.
    pub(super) fn cut(&self, chunk_box: &ChunkBox) -> Vec<f32> {
        let length: usize = chunk_box.iter().map(|part| part.length).product();
        let mut voxels = Vec::with_capacity(self.shape[0] * length);
        self.rows(chunk_box).for_each(|row| voxels.extend_from_slice(row.voxels));
        voxels
    }
}

struct Row<'a> {
    channel: usize,
    /// Position in the box.
    z: usize,
    y: usize,
    voxels: &'a [f32],
}

/// How voxels are weighted before they are added.
pub(super) enum Weighing<'a> {
    /// Each voxel has one owner: it is copied, not added.
    Owned,
    Equal,
    /// By the product of the windows, raised to the floor.
    Windows {
        windows: [&'a [f64]; 3],
        floor: f64,
    },
}

impl<'a> Weighing<'a> {
    pub(super) fn of(group: &'a Group, blend: Blend) -> Self {
        let [z, y, x] = &group.axes;
        match (&z.window, &y.window, &x.window) {
            (Some(z), Some(y), Some(x)) => {
                Self::Windows { windows: [z, y, x], floor: floor(blend, [z, y, x]) }
            }
            _ if blend == Blend::Crop => Self::Owned,
            _ => Self::Equal,
        }
    }

    /// Adds a box to the sums of a chunk of the shape `z, y, x`, channel after channel.
    pub(super) fn add(
        &self,
        sums: &mut Sums,
        chunk: [usize; 3],
        chunk_box: &ChunkBox,
        predicted: &Predicted<'_>,
    ) {
        for row in predicted.rows(chunk_box) {
            let Row { channel, z, y, voxels } = row;
            let plane = channel * chunk[0] + chunk_box[0].in_chunk + z;
            let begin =
                (plane * chunk[1] + chunk_box[1].in_chunk + y) * chunk[2] + chunk_box[2].in_chunk;
            match sums {
                Sums::Owned(values) => values[begin..][..voxels.len()].copy_from_slice(voxels),
                Sums::Weighted(sums) => {
                    self.add_row(&mut sums[begin..][..voxels.len()], chunk_box, &row);
                }
            }
        }
    }

    fn add_row(&self, sums: &mut [f64], chunk_box: &ChunkBox, row: &Row<'_>) {
        let sums = sums.iter_mut().zip(row.voxels);
        let Self::Windows { windows: [wz, wy, wx], floor } = self else {
            sums.for_each(|(sum, voxel)| *sum += f64::from(*voxel));
            return;
        };
        let weight = wz[chunk_box[0].in_patch + row.z] * wy[chunk_box[1].in_patch + row.y];
        let sums = sums.zip(&wx[chunk_box[2].in_patch..][..row.voxels.len()]);
        if *floor > 0.0 {
            for ((sum, voxel), wx) in sums {
                *sum += f64::from(*voxel) * (weight * wx).max(*floor);
            }
        } else {
            for ((sum, voxel), wx) in sums {
                *sum += f64::from(*voxel) * (weight * wx);
            }
        }
    }
}

/// The floor under the weight of a voxel.
fn floor(blend: Blend, windows: [&[f64]; 3]) -> f64 {
    blend.floor(windows.map(|window| window.iter().copied().fold(f64::INFINITY, f64::min)))
}
