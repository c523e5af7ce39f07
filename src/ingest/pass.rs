//! The pass over the voxels of a scan, which encodes, digests and counts them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::layout::{self, ChunkLayout};
use crate::scan::{Order, Scan, ScanHeader};
use crate::statistics::{Statistics, StatisticsAccumulator};
use crate::store::{ArrayShape, SamplingIndex, Tally, VolumeWriter, VoxelDigest};
use crate::{Dtype, Error, Frame, Kind, Result};

/// The part of a layer whose statistics one task gathers. It depends only on the volume, so that
/// floats are summed in one order, whatever the number of threads.
const STATISTICS_PIECE: usize = 4 << 20;

/// The array that stores a scan.
pub(super) fn array_shape(header: &ScanHeader) -> ArrayShape {
    let ScanHeader { dtype, times, channels, shape, .. } = *header;
    ArrayShape { dtype, times, channels, shape }
}

/// The planes of one layer of chunks, of one frame or of all interleaved frames.
#[derive(Clone, Copy)]
struct Layer {
    /// The first of its frames, in the order of delivery.
    first: usize,
    /// Index of the layer, in chunks along z.
    number: usize,
    bytes: usize,
}

/// What the pass gathers, besides the volume.
pub(super) struct Gathered {
    pub(super) statistics: Statistics,
    pub(super) voxel_digest: String,
    /// `None` for intensities; an error gives the reason for no index.
    pub(super) index: Option<Result<SamplingIndex, String>>,
}

/// The state of the pass.
pub(super) struct Pass {
    layout: ChunkLayout,
    shape: [usize; 3],
    dtype: Dtype,
    plane_bytes: usize,
    order: Order,
    kind: Kind,
    statistics: StatisticsAccumulator,
    digest: VoxelDigest,
    tally: Option<Tally>,
}

impl Pass {
    pub(super) fn new(header: &ScanHeader, layout: ChunkLayout, kind: Kind) -> Self {
        let array = array_shape(header);
        let ArrayShape { dtype, times, channels, shape } = array;
        Self {
            layout,
            shape,
            dtype,
            plane_bytes: header.plane_bytes(),
            order: header.order,
            kind,
            statistics: StatisticsAccumulator::new(dtype, kind),
            digest: VoxelDigest::new(dtype, times, channels, shape),
            tally: Tally::new(kind, &array, header.scaling),
        }
    }

    /// Every layer, in the order in which the scan delivers them.
    fn layers(&self, frames: usize) -> impl Iterator<Item = Layer> + use<> {
        let (depth, planes, group) = (self.layout.chunk[0], self.shape[0], self.order.group());
        let step = group * self.plane_bytes;
        (0..frames).step_by(group).flat_map(move |first| {
            (0..planes).step_by(depth).enumerate().map(move |(number, z)| {
                let bytes = depth.min(planes - z) * step;
                Layer { first, number, bytes }
            })
        })
    }

    /// Encodes every layer while one thread of the pool reads the next ones. Interleaved frames are
    /// separated layer by layer.
    pub(super) fn run(
        &mut self,
        scan: &mut dyn Scan,
        writer: &mut VolumeWriter,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<()> {
        let frames: Vec<_> = (0..scan.header().frames()).map(|n| scan.frame(n)).collect();
        let largest = self.layout.chunk[0].min(self.shape[0]) * self.plane_bytes;
        let group = self.order.group();
        let mut apart = if group > 1 { buffer(largest)? } else { Vec::new() };
        let layers = self.layers(frames.len());
        let mut ahead = ReadAhead::new(scan, layers, largest.saturating_mul(group))?;
        while let Some((layer, voxels)) = ahead.next()? {
            let encoded = AtomicBool::new(false);
            let (read, written) = rayon::join(
                || ahead.fill(&encoded),
                || {
                    let voxels = &voxels[..layer.bytes];
                    let frames = &frames[layer.first..][..group];
                    let written = frames.iter().enumerate().try_for_each(|(n, frame)| {
                        let voxels = self.frame_of(voxels, n, &mut apart);
                        self.write(*frame, layer.number, voxels, writer, progress)
                    });
                    encoded.store(true, Ordering::Relaxed);
                    written
                },
            );
            written?;
            if !progress(layer.bytes as u64) {
                return Err(Error::Cancelled);
            }
            read?;
            ahead.free.push(voxels);
        }
        Ok(())
    }

    /// The voxels of the `n`-th frame of a layer, separated from those of interleaved frames.
    fn frame_of<'a>(&self, delivered: &'a [u8], n: usize, apart: &'a mut [u8]) -> &'a [u8] {
        let group = self.order.group();
        if group == 1 {
            return delivered;
        }
        let apart = &mut apart[..delivered.len() / group];
        self.order.take_frame(delivered, n, (self.dtype.size(), self.plane_bytes), apart);
        apart
    }

    /// Encodes, digests and counts the voxels of one frame in layer `number`.
    fn write(
        &mut self,
        frame: Frame,
        number: usize,
        voxels: &[u8],
        writer: &mut VolumeWriter,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<()> {
        let (digest, statistics) = (&mut self.digest, &mut self.statistics);
        let (dtype, kind, plane) = (self.dtype, self.kind, self.plane_bytes);
        let bytes = plane / self.shape[1];
        let row = |z: usize, y: usize| &voxels[z * plane + y * bytes..][..bytes];
        let first = number * self.layout.chunk[0];
        let planes = first..first + voxels.len() / plane;
        let (written, gathered) = rayon::join(
            || writer.write_layer(frame, number, voxels, progress),
            || {
                digest.add(frame, voxels, dtype);
                // One task per thread at a time: a task takes up to 100 MB for floats.
                for pieces in voxels.chunks(STATISTICS_PIECE * rayon::current_num_threads()) {
                    let parts: Vec<_> = pieces
                        .par_chunks(STATISTICS_PIECE)
                        .map(|piece| {
                            let mut part = StatisticsAccumulator::new(dtype, kind);
                            part.add(piece).map(|()| part)
                        })
                        .collect::<Result<_>>()?;
                    parts.into_iter().try_for_each(|part| statistics.merge(part))?;
                }
                let Some(tally) = &mut self.tally else { return Ok(()) };
                tally.add_planes(frame, planes, row)
            },
        );
        written.and(gathered)
    }

    pub(super) fn finish(self) -> Gathered {
        let voxel_digest = self.digest.finish();
        let index = self.tally.map(|tally| tally.finish(voxel_digest.clone()));
        Gathered { statistics: self.statistics.finish(), voxel_digest, index }
    }
}

/// Reads layers ahead, into a few buffers that are used in turn.
struct ReadAhead<'a, L> {
    scan: &'a mut dyn Scan,
    /// Layers that are not read yet.
    layers: L,
    read: VecDeque<(Layer, Vec<u8>)>,
    free: Vec<Vec<u8>>,
}

impl<'a, L: Iterator<Item = Layer>> ReadAhead<'a, L> {
    /// `largest` is the size of the buffers: that of the largest layer.
    fn new(scan: &'a mut dyn Scan, layers: L, largest: usize) -> Result<Self> {
        let buffers = (0..layout::LAYERS_IN_MEMORY).map(|_| buffer(largest));
        Ok(Self { scan, layers, read: VecDeque::new(), free: buffers.collect::<Result<_>>()? })
    }

    /// The next layer, read now if it was not read ahead.
    fn next(&mut self) -> Result<Option<(Layer, Vec<u8>)>> {
        if self.read.is_empty() {
            self.read_one()?;
        }
        Ok(self.read.pop_front())
    }

    /// Reads at least one layer, and goes on until `stop` is set or no buffer is free. Only one
    /// thread can read, and reading is often the slowest part, so this thread encodes only when it
    /// cannot read.
    fn fill(&mut self, stop: &AtomicBool) -> Result<()> {
        while self.read_one()? && !stop.load(Ordering::Relaxed) {}
        Ok(())
    }

    /// False if all layers are read, or no buffer is free.
    fn read_one(&mut self) -> Result<bool> {
        let Some(mut buffer) = self.free.pop() else { return Ok(false) };
        let Some(layer) = self.layers.next() else { return Ok(false) };
        self.scan.read_planes(&mut buffer[..layer.bytes])?;
        self.read.push_back((layer, buffer));
        Ok(true)
    }
}

/// A buffer of zeros, which the system provides on first touch; an error if memory is short.
pub(super) fn buffer(bytes: usize) -> Result<Vec<u8>> {
    let room: Result<(), _> = Vec::<u8>::new().try_reserve_exact(bytes);
    room.map_err(|_| Error::InvalidLayout {
        reason: format!(
            "a layer of chunks takes {bytes} bytes, more than memory holds; use chunks of fewer \
             z-planes"
        ),
    })?;
    Ok(vec![0; bytes])
}
