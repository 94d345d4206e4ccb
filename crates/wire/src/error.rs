//! Why bytes from outside are refused. Every variant is the sender's fault and says where and what.

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// `TimeSeries` messages.
    Series,
    /// Samples; histograms and exemplars are among them.
    Samples,
    /// Buckets, bounds and spans of all histograms.
    Buckets,
    /// What is said of metric families.
    Metadata,
    /// Texts that series refer to.
    Symbols,
    /// References to them in one series or exemplar.
    References,
}

impl std::fmt::Display for Item {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Series => "series",
            Self::Samples => "samples",
            Self::Buckets => "histogram buckets",
            Self::Metadata => "metadata entries",
            Self::Symbols => "symbols",
            Self::References => "label references in one series",
        })
    }
}

/// Why a body is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The body is no block of the snappy format.
    #[error("the body is not valid snappy: {0}")]
    Snappy(String),
    /// The decompressed body would be larger than allowed; nothing was decompressed.
    #[error("the decompressed body has {size_bytes} bytes; the limit is {size_bytes_max}")]
    TooLarge {
        /// What the body declares, bytes.
        size_bytes: u64,
        /// The cap, bytes.
        size_bytes_max: u64,
    },
    /// The message holds more than allowed; decoding stopped there.
    #[error("the request holds more than {max} {item}")]
    TooMany {
        /// What there is too much of.
        item: Item,
        /// The limit.
        max: u32,
    },
    /// The labels and texts of the message, written out, would be larger than allowed; decoding stopped there.
    #[error("the labels of the request have more than {size_bytes_max} bytes together")]
    TextsTooLarge {
        /// The limit, bytes.
        size_bytes_max: u32,
    },
    /// The bytes are no protobuf message of the expected type.
    #[error("malformed protobuf at byte {at}: {what}")]
    Malformed {
        /// Where, in bytes from the start of the decompressed message.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A remote read request that is no message, or asks for what cannot be: the text says what.
    #[error("{0}")]
    Read(String),
    /// OpenTelemetry's metrics that are no message: the text says what.
    #[error("{0}")]
    Otlp(String),
    /// A parameter of a text that nothing is known by: the text says which.
    #[error("{0}")]
    Line(String),
}
