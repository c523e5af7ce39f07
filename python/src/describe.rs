//! A volume in words: for `repr`, and for notebooks.

use voxpatch::Volume;

use crate::arguments::Axes;

/// Lengths of all axes: those for time points and channels only where there are several, then the
/// three spatial ones.
pub fn shape(volume: &Volume, axes: Axes) -> Vec<usize> {
    let several = [volume.times(), volume.channels()].into_iter().filter(|n| *n > 1);
    several.chain(axes.flip(volume.shape())).collect()
}

/// The lengths, and a letter for each axis: `3 x 21 x 34 x 45 (czyx)`.
fn axes_of(volume: &Volume, axes: Axes) -> String {
    let several = [(volume.times(), 't'), (volume.channels(), 'c')];
    let several = several.into_iter().filter(|(n, _)| *n > 1).map(|(_, name)| name);
    let names: String = several.chain(axes.name().chars()).collect();
    format!("{} ({names})", joined(&shape(volume, axes)))
}

fn joined(numbers: &[impl ToString]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ")
}

fn spacing(volume: &Volume, axes: Axes) -> String {
    joined(&axes.flip(volume.spacing().mm()).map(|mm| format!("{mm:.3}"))) + " mm"
}

/// One line.
pub fn text(volume: &Volume, axes: Axes) -> String {
    format!(
        "<voxpatch.Volume {}: {} {}, {}, {}>",
        volume.name(),
        volume.dtype(),
        axes_of(volume, axes),
        spacing(volume, axes),
        volume.kind(),
    )
}

/// A table. Names of volumes have no characters that HTML would take for its own.
pub fn html(volume: &Volume, axes: Axes) -> String {
    let layout = volume.layout();
    let (chunk, shard) = (joined(&axes.flip(layout.chunk)), joined(&axes.flip(layout.shard)));
    let rows = [
        ("shape", axes_of(volume, axes)),
        ("type", format!("{}, {}", volume.dtype(), volume.kind())),
        ("spacing", spacing(volume, axes)),
        ("chunks", format!("{chunk} in shards of {shard}")),
        ("codec", layout.codec.to_string()),
        ("bytes", format!("{} on disk, {} as voxels", volume.stored_bytes(), volume.raw_bytes())),
    ];
    let rows = rows.map(|(name, value)| format!("<tr><th>{name}</th><td>{value}</td></tr>"));
    format!("<table><caption>{}</caption>{}</table>", volume.name(), rows.concat())
}
