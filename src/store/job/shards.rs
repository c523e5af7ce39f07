//! The shards of a job: the expected ones, and the written ones.

use std::collections::HashSet;

use super::JobOutput;
use crate::disk::Disk;
use crate::store::generation::Generation;
use crate::store::grid::ShardGrid;
use crate::{Error, Result};

/// Keys of all shards of an output inside its array, in C order of channel, z, y, x.
pub(super) fn keys(output: &JobOutput) -> impl Iterator<Item = String> + use<> {
    let grid = ShardGrid::new(&output.array, &output.attributes.layout);
    (0..grid.len()).map(move |n| grid.key(n))
}

/// Whether each shard of an output is written, in the order of [`keys`].
pub(super) fn written(
    disk: &Disk,
    generation: &Generation,
    output: &JobOutput,
) -> Result<Vec<bool>> {
    let list = |folder: &String| -> Result<Vec<String>> {
        let key = generation.key(format!("0/{folder}"));
        let names = disk.list(&key).map_err(Error::io("list", disk.path(&key)))?;
        Ok(names.into_iter().map(|name| format!("{folder}/{name}")).collect())
    };
    let mut level = vec!["c".to_owned()];
    // A shard's key has one folder for each axis.
    for _ in 0..output.array.leading() + 3 {
        level = level.iter().map(list).collect::<Result<Vec<_>>>()?.concat();
    }
    let there: HashSet<String> = level.into_iter().collect();
    Ok(keys(output).map(|key| there.contains(&key)).collect())
}
