//! The file that holds the log's id, written once, with the directory. Every segment repeats the id.

use crate::LogError;
use longhaul_disk::{Fs, write_atomically};
use longhaul_model::LogId;
use std::io;
use std::path::Path;

/// Its name.
pub(crate) const NAME: &str = "id";

/// The id of the log in `dir`, and whether its file was damaged (it is mended then). `known` is what a segment says;
/// a log without segments and without an id is a new one and gets `new_log_id`.
pub(crate) fn read_or_create(
    fs: &dyn Fs,
    dir: &Path,
    known: Option<LogId>,
    has_segments: bool,
    new_log_id: LogId,
) -> Result<(LogId, bool), LogError> {
    let path = dir.join(NAME);
    let stored = match fs.read(&path) {
        Ok(bytes) => Some(decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(LogError::io("read", &path)(error)),
    };
    if let Some(Some(id)) = stored {
        return Ok((id, false));
    }
    let id = match known {
        Some(id) => id,
        None if has_segments => return Err(LogError::IdLost { path: dir.to_owned() }),
        None => new_log_id,
    };
    write_atomically(fs, &path, &encode(id)).map_err(LogError::io("write", &path))?;
    Ok((id, has_segments || stored.is_some()))
}

fn encode(id: LogId) -> Vec<u8> {
    let line = format!("longhaul log {id}");
    format!("{line} {:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes()
}

fn decode(bytes: &[u8]) -> Option<LogId> {
    let id = std::str::from_utf8(bytes).ok()?.split(' ').nth(2)?.parse().ok()?;
    (encode(id) == bytes).then_some(id)
}
