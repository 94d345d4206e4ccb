//! What can go wrong with a block, by what a caller does about it.

use crate::BlockFile;
use longhaul_chunk::ChunkError;
use std::borrow::Cow;
use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = BlockError> = std::result::Result<T, E>;

/// Why something could not be done with a block.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// Bytes that fail their checksum, contradict themselves or lead outside the file: quarantine the block.
    #[error("{file} is corrupt at byte {offset}: {reason}")]
    Corrupt {
        /// Which file of the block.
        file: BlockFile,
        /// Where in the file, bytes.
        offset: u64,
        /// What was found.
        reason: Cow<'static, str>,
    },
    /// A format or version that this program does not read: leave the block alone.
    #[error("{file} is not supported: {reason}")]
    Unsupported {
        /// Which file of the block.
        file: BlockFile,
        /// What was found, and what would be read.
        reason: Cow<'static, str>,
    },
    /// A chunk of a series that is being merged cannot be read.
    #[error("a chunk of {series}: {error}")]
    Chunk {
        /// The labels of the series.
        series: String,
        /// What is wrong.
        error: ChunkError,
    },
    /// The bytes could not be fetched; says nothing about the block.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file of a new block could not be written.
    #[error("cannot write {path}: {error}", path = path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        error: std::io::Error,
    },
    /// What was handed to the writer is not what a block can hold (order, bounds, overlaps, size limits).
    #[error("cannot write block: {0}")]
    Refused(Cow<'static, str>),
}

/// Why bytes of a block could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The block has no such file.
    #[error("{0} is missing")]
    Missing(BlockFile),
    /// The range reaches beyond the file's end.
    #[error("{file} ends at byte {size_bytes}, bytes up to {end} were asked for")]
    Truncated {
        /// Which file.
        file: BlockFile,
        /// The end of the range that was asked for.
        end: u64,
        /// The file's length.
        size_bytes: u64,
    },
    /// The file system, the network, a budget or a cancelled query: whatever the implementation of
    /// [`crate::BlockFiles`] has to say. It comes out again as it went in.
    #[error("cannot read {file}: {error}")]
    Other {
        /// Which file.
        file: BlockFile,
        /// The cause.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BlockError {
    pub(crate) fn corrupt(file: BlockFile, offset: u64, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Corrupt { file, offset, reason: reason.into() }
    }

    pub(crate) fn chunk(file: BlockFile, offset: u64, error: &ChunkError) -> Self {
        match error {
            ChunkError::Corrupt { .. } => Self::corrupt(file, offset, error.to_string()),
            ChunkError::Unsupported(_) => Self::Unsupported { file, reason: error.to_string().into() },
        }
    }

    /// Whether the block's own bytes are at fault, so that reading again will not help.
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Chunk { error: ChunkError::Corrupt { .. }, .. } => true,
            Self::Read(ReadError::Missing(_) | ReadError::Truncated { .. }) => true,
            Self::Unsupported { .. } | Self::Chunk { .. } | Self::Read(ReadError::Other { .. }) => false,
            Self::Write { .. } | Self::Refused(_) => false,
        }
    }
}
