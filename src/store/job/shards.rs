//! The shards of a job: which there are to be, and which are written.

use std::collections::HashSet;

use super::JobOutput;
use crate::store::disk::Disk;
use crate::{Error, Result};

/// Keys of all shards of an output inside its array, in C order of channel, z, y, x.
pub(super) fn keys(output: &JobOutput) -> impl Iterator<Item = String> + use<> {
    let array = output.array.clone();
    let [depth, rows, columns] = output.attributes.layout.shards(array.shape);
    (0..array.channels * depth * rows * columns).map(move |n| {
        let (n, x) = (n / columns, n % columns);
        let (n, y) = (n / rows, n % rows);
        array.shard_key(0, n / depth, [n % depth, y, x])
    })
}

/// Which shards of the `n`-th output of the job in `folder` are there, in the order of [`keys`].
pub(super) fn written(
    disk: &dyn Disk,
    folder: &str,
    n: usize,
    output: &JobOutput,
) -> Result<Vec<bool>> {
    let root = format!("{folder}/{n}/0");
    let list = |folder: &String| -> Result<Vec<String>> {
        let key = format!("{root}/{folder}");
        let names = disk.list(&key).map_err(Error::io("list", disk.path(&key)))?;
        Ok(names.into_iter().map(|name| format!("{folder}/{name}")).collect())
    };
    let mut level = vec!["c".to_owned()];
    // A shard's key has an index for each axis.
    for _ in 0..output.array.leading() + 3 {
        level = level.iter().map(list).collect::<Result<Vec<_>>>()?.concat();
    }
    let there: HashSet<String> = level.into_iter().collect();
    Ok(keys(output).map(|key| there.contains(&key)).collect())
}
