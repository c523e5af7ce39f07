//! The report as tables and text.

use voxpatch::bench::{Cache, FromDisk, Labels, Report, Row, VolumeReport};

use super::tables::{expense, speed};
use crate::output;

/// The machine and the date.
pub fn header(report: &Report) -> String {
    let machine = &report.machine;
    format!(
        "voxpatch {}, {}, {}, {}, {}\n",
        report.voxpatch,
        report.date,
        machine.cpu,
        output::count(machine.processors, "processor"),
        machine.system
    )
}

/// A volume and its rows.
pub fn volume(measured: &VolumeReport) -> String {
    let VolumeReport { shape, times, channels, .. } = *measured;
    let first = if times * channels > 1 { "; the first frame is read" } else { "" };
    let labels = Labels::of(&measured.rows);
    let mut facts = vec![
        ("voxels", output::volume(shape, times, channels) + first),
        ("type", output::dtype(measured.dtype, measured.stored_dtype)),
        ("layout", output::layout(&measured.layout)),
        ("size", size(measured)),
    ];
    facts.extend(measured.inflated.as_ref().map(|gzip| {
        let time = output::number((gzip.seconds * 1e6).round() / 1e6);
        let file = output::bytes(gzip.file_bytes);
        (".nii.gz", format!("{file}; {time} s to inflate all of it, for each patch"))
    }));
    let common = measured.rows.first().map(|row| labels.common(&row.case));
    facts.extend(common.filter(|text| !text.is_empty()).map(|text| ("reads", text)));
    let facts = output::facts(&facts);
    format!(
        "{}\n{facts}\n\n{}\n\nOf each patch, on average:\n{}\n",
        measured.name,
        speed(&labels, &measured.rows),
        expense(&labels, &measured.rows)
    )
}

fn size(measured: &VolumeReport) -> String {
    let stored = format!(
        "{} from {}, {}",
        output::bytes(measured.stored_bytes),
        output::bytes(measured.raw_bytes),
        output::ratio(measured.raw_bytes, measured.stored_bytes)
    );
    let copy = |bytes| format!("{stored}; the uncompressed copy has {}", output::bytes(bytes));
    measured.copy_bytes.map_or(stored.clone(), copy)
}

/// The meaning of the figures, and its limits.
pub fn notes(report: &Report) -> String {
    let rows = || report.volumes.iter().flat_map(|volume| &volume.rows);
    let mut notes = vec![
        "Rates are of the median pass, latencies of all single reads; a time covers the whole \
         read. The store's handle is open in warm rows, and its checksums are verified once."
            .to_owned(),
        "decoded: bytes decoded for each byte returned. syscalls: read and write calls only, which \
         mapped files hardly need; what these cost are page faults, of which the major wait for \
         the disk. memory: the peak of the whole process, pages of mapped files included, which \
         the system can take back."
            .to_owned(),
    ];
    if rows().any(|row| row.compared) {
        let note = "Every patch was compared with the memory map before it was timed: all equal. \
                    The map copies rows of an uncompressed .nii, and has nothing to decode.";
        notes.push(note.to_owned());
    }
    if let Some(method) = report.cold_method {
        notes.push(format!(
            "Cold: a fresh handle for each pass of a few patches; before it, {method}. Checksums \
             are verified on the way. Caches of the disk itself, or of a virtual machine's host, \
             are out of reach."
        ));
        notes.push(verdict(rows()));
    }
    let wrapped: Vec<_> = notes.iter().map(|note| wrap(note, 100)).collect();
    wrapped.join("\n")
}

/// Whether cold rows were cold.
fn verdict<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let cold: Vec<&Row> = rows.filter(|row| row.case.cache == Cache::Cold).collect();
    let side = |name: &str, found: Vec<FromDisk>| {
        let all = |what| found.iter().all(|found| *found == what);
        let told = match found.len() {
            0 => return None,
            _ if all(FromDisk::Yes) => "read from disk in every cold pass",
            _ if all(FromDisk::No) => {
                "no byte was seen coming from disk, so cold rows were not cold: the files are in a \
                 file system that lives in memory, are held by another program, or the system \
                 does not tell"
            }
            _ if all(FromDisk::Unknown) => "this system does not tell what is read from disk",
            _ => {
                "less than was needed came from disk in some cold passes, so a part was in memory \
                 (from_disk of --json says in which rows)"
            }
        };
        Some(format!("{name}: {told}"))
    };
    let store = cold.iter().filter_map(|row| row.store.from_disk).collect();
    let map = cold.iter().filter_map(|row| row.map.as_ref()?.from_disk).collect();
    let told = [side("voxpatch", store), side("memory map", map)];
    told.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Breaks lines between words, where they get longer than `width`.
fn wrap(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut length = 0;
        let mut broken = String::new();
        for word in line.split(' ') {
            let letters = word.chars().count();
            if length > 0 {
                let breaks = length + 1 + letters > width;
                broken.push(if breaks { '\n' } else { ' ' });
                length = if breaks { 0 } else { length + 1 };
            }
            broken.push_str(word);
            length += letters;
        }
        lines.push(broken);
    }
    lines.join("\n")
}
