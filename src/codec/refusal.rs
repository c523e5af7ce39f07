//! Why a chunk could not be decoded.

/// The caller adds which chunk of which file.
pub(crate) type Refusal = String;

/// Refuses another number of decoded bytes than was expected.
pub(super) fn exact(decoded: usize, expected: usize, format: &str) -> Result<(), Refusal> {
    if decoded == expected {
        Ok(())
    } else {
        Err(format!("{format}: {decoded} bytes decoded, {expected} expected"))
    }
}
