//! The bus envelope: what every runner, ours or the original's, puts on a subject. The only place that names prost.
//!
//! Pure: bytes to values and back. Never looks into a payload.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use prost::Message as _;

/// Bytes that a compressed envelope may expand to, whatever the bus's limit: a gzip bomb stops here.
pub const MAX_EXPANDED: usize = 64 << 20;

/// What kind of message it is. Numbers are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// No type, or a number that nobody knows.
    Undefined,
    /// An ordinary output.
    Ok,
    /// The origin node failed: `error` has its text.
    Error,
    /// An answer for the caller before the origin is done.
    EarlyReply,
    /// An answer for the caller after which the origin stops.
    EarlyExit,
}

/// A protobuf message with its name (`google.protobuf.Any`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// `type.googleapis.com/<full name>`; the part after the last `/` is the name.
    pub type_url: String,
    /// The serialised message.
    pub data: Bytes,
}

/// One message, as it is on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Made by the entrypoint; copied verbatim by every node.
    pub request_id: String,
    /// The sending node, or `entrypoint`.
    pub from_node: String,
    /// Its kind.
    pub message_type: MessageType,
    /// None on errors.
    pub payload: Option<Payload>,
    /// The error's text; empty when there is none.
    pub error: String,
}

/// Why bytes are not an envelope. Such a delivery is never worth a second attempt.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the protobuf message `KreNatsMessage`.
    #[error("the envelope is not a KreNatsMessage: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// Starts with the gzip magic but does not decompress.
    #[error("the envelope is not valid gzip: {0}")]
    Gzip(#[source] std::io::Error),
    /// Decompresses to more than [`MAX_EXPANDED`].
    #[error("the compressed envelope expands to more than {MAX_EXPANDED} bytes")]
    TooLarge,
}

/// The envelope is larger than the bus takes, even compressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the envelope has {size} bytes compressed; the bus takes {limit}")]
pub struct TooLarge {
    /// Bytes after compression.
    pub size: usize,
    /// Bytes that the bus takes.
    pub limit: usize,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `KreNatsMessage`, proto3, no package.
#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(string, tag = "1")]
    request_id: String,
    #[prost(message, optional, tag = "2")]
    payload: Option<Any>,
    #[prost(string, tag = "3")]
    error: String,
    #[prost(string, tag = "4")]
    from_node: String,
    #[prost(int32, tag = "5")]
    message_type: i32,
}

impl MessageType {
    fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            3 => Self::EarlyReply,
            4 => Self::EarlyExit,
            _ => Self::Undefined,
        }
    }

    fn to_wire(self) -> i32 {
        match self {
            Self::Undefined => 0,
            Self::Ok => 1,
            Self::Error => 2,
            Self::EarlyReply => 3,
            Self::EarlyExit => 4,
        }
    }
}

impl Payload {
    /// The full protobuf name: what follows the last `/` of the type URL.
    pub fn message_name(&self) -> &str {
        self.type_url.rsplit('/').next().unwrap_or_default()
    }
}

impl Message {
    /// Whether it reports a failure. Both marks count: the original looks at the text alone (contract, trap 15).
    pub fn is_error(&self) -> bool {
        self.message_type == MessageType::Error || !self.error.is_empty()
    }

    /// The envelope's bytes; compressed as a whole if and only if they would exceed `limit` (contract, 3.2).
    ///
    /// # Errors
    /// Larger than `limit` even compressed.
    pub fn encode(self, limit: usize) -> Result<Bytes, TooLarge> {
        let envelope = Envelope {
            request_id: self.request_id,
            payload: self.payload.map(|p| Any { type_url: p.type_url, value: p.data }),
            error: self.error,
            from_node: self.from_node,
            message_type: self.message_type.to_wire(),
        };
        let plain = envelope.encode_to_vec();
        if plain.len() <= limit {
            return Ok(plain.into());
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        // Writing to a Vec does not fail.
        let packed = encoder.write_all(&plain).and_then(|()| encoder.finish()).unwrap_or(plain);
        if packed.len() <= limit { Ok(packed.into()) } else { Err(TooLarge { size: packed.len(), limit }) }
    }

    /// Reads an envelope, decompressing it if it starts with the gzip magic. The payload shares `bytes`.
    ///
    /// # Errors
    /// See [`DecodeError`]; the bytes will never become an envelope.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let plain = if bytes.starts_with(&[0x1f, 0x8b]) { expand(&bytes)? } else { bytes };
        let envelope = Envelope::decode(plain)?;
        Ok(Self {
            request_id: envelope.request_id,
            from_node: envelope.from_node,
            message_type: MessageType::from_wire(envelope.message_type),
            payload: envelope.payload.map(|any| Payload { type_url: any.type_url, data: any.value }),
            error: envelope.error,
        })
    }
}

fn expand(bytes: &[u8]) -> Result<Bytes, DecodeError> {
    let mut plain = Vec::new();
    let limit = MAX_EXPANDED as u64 + 1;
    flate2::read::MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut plain).map_err(DecodeError::Gzip)?;
    if plain.len() > MAX_EXPANDED { Err(DecodeError::TooLarge) } else { Ok(plain.into()) }
}
