//! stub
use super::*;
use crate::Result;
use crate::layout::ChunkLayout;
use crate::statistics::Statistics;
use std::path::PathBuf;
#[derive(Debug, Default)]
pub(crate) struct EncodeScratch;
#[derive(Debug)]
pub(crate) struct Job {}
pub(crate) struct JobOutput {
    pub name: VolumeName,
    pub shape: ArrayShape,
    pub layout: ChunkLayout,
}
pub(crate) struct Published {
    pub stored_bytes: u64,
    pub voxel_digest: String,
    pub index: Option<IndexInfo>,
}
impl Dataset {
    pub(crate) fn job_document(&self, _name: &VolumeName) -> Result<Option<String>> {
        todo!()
    }
    pub(crate) fn open_job(
        &self,
        _document: &str,
        _outputs: Vec<JobOutput>,
        _part: Option<usize>,
        _replace: bool,
    ) -> Result<Job> {
        todo!()
    }
    pub(crate) fn discard_job(&self, _name: &VolumeName, _parts: usize) -> Result<()> {
        todo!()
    }
}
impl Job {
    pub(crate) fn folder(&self) -> PathBuf {
        todo!()
    }
    pub(crate) fn done(&self, _output: usize) -> Result<Vec<bool>> {
        todo!()
    }
    pub(crate) fn encode(
        &self,
        _output: usize,
        _voxels: &[u8],
        _scratch: &mut EncodeScratch,
    ) -> Result<Option<Vec<u8>>> {
        todo!()
    }
    pub(crate) fn write_shard(
        &self,
        _output: usize,
        _channel: usize,
        _at: [usize; 3],
        _chunks: &[Option<Vec<u8>>],
    ) -> Result<u64> {
        todo!()
    }
    pub(crate) fn remove_shards(
        &self,
        _output: usize,
        _shards: impl Iterator<Item = (usize, [usize; 3])>,
    ) -> Result<()> {
        todo!()
    }
    pub(crate) fn publish(
        self,
        _parts: usize,
        _attributes: &(dyn Fn(usize, Statistics) -> Attributes + Sync),
        _progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Vec<Published>> {
        todo!()
    }
}
