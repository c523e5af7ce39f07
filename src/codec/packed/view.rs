//! How a chunk is seen by the codec: planes of rows, cut into strips of columns.

/// Columns of a strip: what one row of a kernel holds.
pub(crate) const STRIP: usize = 16;
/// Voxels of a group: what shares one width.
pub(super) const GROUP: usize = 8;
/// Rows of a block: what shares one header.
pub(super) const BLOCK_ROWS: usize = 4;
/// Groups of a block of whole rows.
pub(super) const GROUPS: usize = BLOCK_ROWS * STRIP / GROUP;

/// Voxels of a chunk at most: below 4 GiB as lanes, headers included, however they are cut.
const MOST_VOXELS: usize = 1 << 28;

/// Planes, rows and columns of a chunk, as the codec sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) planes: usize,
    pub(crate) rows: usize,
    /// Columns of a row; a multiple of [`STRIP`] if the view is folded.
    pub(crate) columns: usize,
    /// Voxels of a plane. Fewer than `rows * columns` if the last row of a folded view is short.
    pub(crate) plane_voxels: usize,
    /// True if rows are not the chunk's own rows, but stretches of [`STRIP`] voxels in order.
    pub(crate) folded: bool,
}

impl View {
    /// The view of a chunk of `shape`, `z, y, x`; `None` if an axis is 0 or the number of voxels
    /// does not fit. Rows shorter than a strip would leave most of it empty, so the planes of such
    /// a chunk, or the whole chunk, are seen as one row that is cut into strips.
    pub(crate) fn new([z, y, x]: [usize; 3]) -> Option<Self> {
        let plane = y.checked_mul(x)?;
        let all = plane.checked_mul(z)?;
        // Padding to a strip must not overflow, nor any count of bytes below; and no segment may
        // be longer than four bytes can tell.
        if all == 0 || all > MOST_VOXELS {
            return None;
        }
        let folded = |planes, voxels: usize| {
            let rows = voxels.div_ceil(STRIP);
            Self { planes, rows, columns: STRIP, plane_voxels: voxels, folded: true }
        };
        Some(if x >= STRIP {
            Self { planes: z, rows: y, columns: x, plane_voxels: plane, folded: false }
        } else if plane >= STRIP {
            folded(z, plane)
        } else {
            folded(1, all)
        })
    }

    pub(super) fn strips(&self) -> usize {
        self.columns.div_ceil(STRIP)
    }

    /// Groups in each row of a strip: the last strip of a view may have but one.
    pub(super) fn groups(&self, strip: usize) -> usize {
        (self.columns - strip * STRIP).div_ceil(GROUP).min(STRIP / GROUP)
    }

    /// Blocks in the strip of a plane.
    pub(super) fn blocks(&self) -> usize {
        self.rows.div_ceil(BLOCK_ROWS)
    }

    /// Bytes of one length in the directory: 2 if no segment of lanes of `lane` bytes can be
    /// longer than that can tell, else 4.
    pub(super) fn length_bytes(&self, lane: usize) -> usize {
        let blocks = self.blocks();
        let most = lane + blocks.div_ceil(8) + blocks * HEADER_BYTES + self.rows * STRIP * lane;
        if u16::try_from(most).is_ok() { 2 } else { 4 }
    }
}

/// Bytes of a block's header.
pub(super) const HEADER_BYTES: usize = 3;

/// True if a plane is coded without the plane before it.
pub(super) fn is_key(plane: usize, key_every: u8) -> bool {
    match key_every {
        0 => plane == 0,
        every => plane.is_multiple_of(usize::from(every)),
    }
}
