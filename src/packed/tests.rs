use super::*;
use crate::Dtype;

fn decode(isa: Isa, encoded: &[u8], shape: [usize; 3], item: usize) -> Result<Vec<u8>, String> {
    let mut out = vec![0; shape.iter().product::<usize>() * item];
    let window = Window { chunk: shape, start: [0; 3], shape };
    let mut dense = Dense { shape, item, out: &mut out };
    decode_window(isa, encoded, &window, item, &mut Scratch::default(), &mut dense)?;
    Ok(out)
}

#[test]
#[ignore]
fn speed() {
    let path = std::env::var("VOXPATCH_NII").unwrap();
    let raw = std::fs::read(path).unwrap();
    let d = |i: usize| u16::from_le_bytes([raw[40 + 2 * i], raw[41 + 2 * i]]) as usize;
    let s = [d(3), d(2), d(1)];
    let vox = &raw[352..];
    let c: Vec<usize> = std::env::var("CH")
        .unwrap_or("32,32,32".into())
        .split(',')
        .map(|v| v.parse().unwrap())
        .collect();
    let c = [c[0], c[1], c[2]];
    let key: u8 = std::env::var("KEY").map_or(0, |v| v.parse().unwrap());
    let mut chunks = vec![];
    for z in (0..s[0] / c[0] * c[0]).step_by(c[0]) {
        for y in (0..s[1] / c[1] * c[1]).step_by(c[1]) {
            for x in (0..s[2] / c[2] * c[2]).step_by(c[2]) {
                let mut b = vec![];
                for zz in z..z + c[0] {
                    for yy in y..y + c[1] {
                        let at = 2 * ((zz * s[1] + yy) * s[2] + x);
                        b.extend(&vox[at..at + 2 * c[2]]);
                    }
                }
                chunks.push(b);
            }
        }
    }
    if let Ok(n) = std::env::var("N") {
        chunks = chunks.split_off(chunks.len() / 2);
        chunks.truncate(n.parse().unwrap());
    }
    let raw_bytes: usize = chunks.iter().map(Vec::len).sum();
    let enc = Encoder { dtype: Dtype::Int16, key_every: key };
    let mut es = EncodeScratch::default();
    let t = std::time::Instant::now();
    let encoded: Vec<Vec<u8>> = chunks.iter().map(|b| enc.encode(b, c, &mut es).unwrap()).collect();
    let te = t.elapsed().as_secs_f64();
    let packed: usize = encoded.iter().map(Vec::len).sum();
    println!(
        "raw {raw_bytes} packed {packed} bits {:.3} encode {:.0} MB/s",
        16.0 * packed as f64 / raw_bytes as f64,
        raw_bytes as f64 / te / 1e6
    );
    for isa in
        Isa::available().into_iter().skip(std::env::var("SKIP").map_or(0, |v| v.parse().unwrap()))
    {
        for (e, b) in encoded.iter().zip(&chunks).step_by(37) {
            assert_eq!(&decode(isa, e, c, 2).unwrap(), b);
        }
        let mut scratch = Scratch::default();
        let window = Window { chunk: c, start: [0; 3], shape: c };
        let mut out = vec![0_u8; 2 * c.iter().product::<usize>()];
        for _ in 0..3 {
            let t = std::time::Instant::now();
            for b in &chunks {
                out.copy_from_slice(b);
                std::hint::black_box(&mut out);
            }
            println!("copy {:.2} GB/s", raw_bytes as f64 / t.elapsed().as_secs_f64() / 1e9);
        }
        for _ in 0..std::env::var("REP").map_or(3, |v| v.parse().unwrap()) {
            let t = std::time::Instant::now();
            for e in &encoded {
                let mut dense = Dense { shape: c, item: 2, out: &mut out };
                decode_window(isa, e, &window, 2, &mut scratch, &mut dense).unwrap();
            }
            println!("{isa:?} {:.2} GB/s", raw_bytes as f64 / t.elapsed().as_secs_f64() / 1e9);
        }
    }
}

#[test]
fn the_example_of_the_format_is_what_is_written() {
    let row = std::array::from_fn::<i16, 16, _>(|x| if x == 3 { 12 } else { 10 });
    let voxels = [row; 4].as_flattened().iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<_>>();
    let encoder = Encoder { dtype: Dtype::Int16, key_every: 0 };
    let encoded = encoder.encode(&voxels, [2, 2, 16], &mut EncodeScratch::default()).unwrap();
    let stated = [
        &[0x01, 0x01, 0x00][..],
        &[0x09, 0x00, 0x00, 0x00],
        &[0x0b, 0x00],
        &[0x01],
        &[0x22, 0xa4, 0x00],
        &[0x7f, 0xff, 0xff],
    ];
    assert_eq!(encoded, stated.concat());
}
