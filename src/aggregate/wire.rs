//! Numbers in a checkpoint file, in the byte order of this machine: integers of 64 bits, and lists
//! with their length in front.

use std::io::{self, Write};

use bytemuck::Pod;

/// Shows the byte order of the file.
const MARK: u64 = 0x0102_0304_0506_0708;

/// Writes numbers and lists.
pub(super) struct NumberWriter<'a>(&'a mut dyn Write);

impl<'a> NumberWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> io::Result<Self> {
        let mut sink = Self(out);
        sink.number(MARK)?;
        Ok(sink)
    }

    pub(super) fn number(&mut self, number: u64) -> io::Result<()> {
        self.0.write_all(&number.to_ne_bytes())
    }

    /// A length or an index.
    pub(super) fn count(&mut self, count: usize) -> io::Result<()> {
        self.number(count as u64)
    }

    pub(super) fn list<T: Pod>(&mut self, numbers: &[T]) -> io::Result<()> {
        self.count(numbers.len())?;
        self.0.write_all(bytemuck::cast_slice(numbers))
    }
}

/// Reads numbers and lists; `None` where the bytes end early.
pub(super) struct NumberReader<'a>(&'a [u8]);

impl<'a> NumberReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut source = Self(bytes);
        (source.number()? == MARK).then_some(source)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*number))
    }

    pub(super) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(super) fn list<T: Pod>(&mut self) -> Option<List<'a>> {
        let bytes = self.count()?.checked_mul(size_of::<T>())?;
        let (list, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(List(list))
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// The bytes of a list, not copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a>(&'a [u8]);

impl List<'_> {
    pub(super) fn len<T: Pod>(&self) -> usize {
        self.0.len() / size_of::<T>()
    }

    pub(super) fn to_vec<T: Pod>(self) -> Vec<T> {
        let mut numbers = vec![T::zeroed(); self.len::<T>()];
        let bytes = bytemuck::cast_slice_mut(&mut numbers);
        bytes.copy_from_slice(self.0);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_not() {
        let mut bytes = Vec::new();
        let mut sink = NumberWriter::new(&mut bytes).unwrap();
        sink.count(7).unwrap();
        sink.list(&[1.5_f32, -2.0, 0.25]).unwrap();
        for end in 0..=bytes.len() {
            let read = || {
                let mut source = NumberReader::new(&bytes[..end])?;
                let found = (source.count()?, source.list::<f32>()?.to_vec::<f32>());
                source.is_at_end().then_some(found)
            };
            assert_eq!(read(), (end == bytes.len()).then(|| (7, vec![1.5, -2.0, 0.25])));
        }
        // More than there is, and more than can be.
        for count in [4, u64::MAX] {
            assert!(NumberReader(&count.to_ne_bytes()).list::<f64>().is_none());
        }
    }
}
