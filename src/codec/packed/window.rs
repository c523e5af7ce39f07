//! The box of a chunk that is wanted, and where its voxels go.

/// A box of a chunk, `z, y, x` in voxels; not empty and inside the chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Shape of the chunk.
    pub(crate) chunk: [usize; 3],
    /// First voxel of the box.
    pub(crate) start: [usize; 3],
    /// Shape of the box.
    pub(crate) shape: [usize; 3],
}

/// Voxels of a window as they are in memory: rows of one plane, one above the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    /// Where in the window the piece begins, `z, y, x`.
    pub(crate) at: [usize; 3],
    /// The rows, and the end of the last.
    pub(crate) bytes: &'a [u8],
    /// Rows.
    pub(crate) rows: usize,
    /// Bytes of a row.
    pub(crate) width: usize,
    /// Bytes from one row to the next; not 0.
    pub(crate) stride: usize,
}

/// Where the voxels of a window go.
pub(crate) trait Sink {
    /// Takes a piece.
    fn put(&mut self, piece: Piece<'_>);

    /// The destination from voxel `at` of the window on, and the bytes from one row to the next,
    /// if voxels go there as they are: then rows may be written there instead of being put.
    fn rows(&mut self, at: [usize; 3]) -> Option<(&mut [u8], usize)>;
}
