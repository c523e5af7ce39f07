use super::*;
pub(crate) enum CodecSpec {
    None,
    Zstd,
    Gzip,
    Blosc,
}
pub(crate) fn decoder_for(_: CodecSpec, _: usize) -> Option<Box<dyn Decoder>> {
    None
}
impl Target<'_> {
    pub(crate) fn fill_zero(&mut self, part: &Part, s: &mut Scratch) {
        s.bytes.clear();
        s.bytes.resize(part.shape[2] * part.item, 0);
        for z in 0..part.shape[0] {
            for y in 0..part.shape[1] {
                self.put(z, y, &s.bytes);
            }
        }
    }
}
