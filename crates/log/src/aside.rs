//! Keeps a copy of a damaged segment: the log lives on without the damaged frames, someone may still want to look.

use crate::LogError;
use crate::reader::SegmentFile;
use crate::segment::{file_name, remove};
use longhaul_disk::Fs;
use std::path::Path;

/// The directory, within the log's, in which copies of damaged segments are kept. Nothing here removes them.
const DIR: &str = "damaged";
const COPY_BYTES: u64 = 1 << 20;

/// Copies `segment` as it is, once. That it cannot be copied (a full disk) is reported and does not stop recovery.
pub(crate) fn keep(fs: &dyn Fs, dir: &Path, segment: &SegmentFile) {
    if let Err(error) = copy(fs, dir, segment) {
        tracing::warn!(segment = segment.number, %error, "a damaged log segment could not be kept aside");
    }
}

fn copy(fs: &dyn Fs, dir: &Path, segment: &SegmentFile) -> Result<(), LogError> {
    let aside = dir.join(DIR);
    let target = aside.join(file_name(segment.number));
    let temporary = target.with_extension("tmp");
    fs.create_dir_all(&aside).map_err(LogError::io("create", &aside))?;
    fs.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    if fs.open(&target).is_ok() {
        return Ok(());
    }
    remove(fs, &aside, &temporary)?;
    let mut copy = fs.create(&temporary).map_err(LogError::io("create", &temporary))?;
    let mut buffer = Vec::new();
    for start in (0..segment.size_bytes).step_by(COPY_BYTES as usize) {
        buffer.resize(COPY_BYTES.min(segment.size_bytes - start) as usize, 0);
        segment.file.read_exact_at(&mut buffer, start).map_err(LogError::io("read", &segment.path))?;
        copy.append(&buffer).map_err(LogError::io("write", &temporary))?;
    }
    copy.sync_data().map_err(LogError::io("sync", &temporary))?;
    fs.rename(&temporary, &target).map_err(LogError::io("rename", &temporary))?;
    fs.sync_dir(&aside).map_err(LogError::io("sync", &aside))
}
