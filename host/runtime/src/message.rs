//! The bus envelope: what every runner, ours or the original's, puts on a subject. The only place that names prost.
//!
//! Pure: bytes to values and back. Never looks into a payload.

#[cfg(test)]
mod tests;

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

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

/// An envelope to be sent, borrowed from wherever its parts are: encoding copies the payload once and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// See [`Message::request_id`].
    pub request_id: &'a str,
    /// See [`Message::from_node`].
    pub from_node: &'a str,
    /// See [`Message::message_type`].
    pub message_type: MessageType,
    /// See [`Message::payload`].
    pub payload: Option<&'a Payload>,
    /// See [`Message::error`].
    pub error: &'a str,
}

/// The envelope is larger than the bus takes, even compressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the envelope has {size} bytes and does not compress to the {limit} that the bus takes")]
pub struct TooLarge {
    /// Bytes before compression.
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
        self.type_url.rsplit_once('/').map_or(&self.type_url, |(_, name)| name)
    }
}

impl Message {
    /// Whether it reports a failure. Both marks count: the original looks at the text alone (contract, trap 15).
    pub fn is_error(&self) -> bool {
        self.message_type == MessageType::Error || !self.error.is_empty()
    }

    /// The envelope's bytes, see [`Outgoing::encode`].
    ///
    /// # Errors
    /// Larger than `limit` even compressed.
    pub fn encode(&self, limit: usize) -> Result<Bytes, TooLarge> {
        let Self { request_id, from_node, message_type, payload, error } = self;
        Outgoing { request_id, from_node, message_type: *message_type, payload: payload.as_ref(), error }.encode(limit)
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

impl Outgoing<'_> {
    /// The envelope's bytes; compressed as a whole if and only if they would exceed `limit` (contract, 3.2).
    ///
    /// # Errors
    /// Larger than `limit` even compressed, or larger than [`MAX_EXPANDED`], which no receiver would expand.
    pub fn encode(&self, limit: usize) -> Result<Bytes, TooLarge> {
        let size = self.size();
        let too_large = TooLarge { size, limit };
        if size > limit && size > MAX_EXPANDED {
            return Err(too_large);
        }
        let mut plain = Vec::with_capacity(size);
        self.write(&mut plain);
        if size <= limit {
            return Ok(plain.into());
        }
        compress(&plain, limit).ok_or(too_large)
    }

    fn size(&self) -> usize {
        let payload = self.payload.map_or(0, |p| 1 + delimited(any_size(p)));
        text_size(self.request_id)
            + payload
            + text_size(self.error)
            + text_size(self.from_node)
            + if self.message_type == MessageType::Undefined { 0 } else { 2 }
    }

    /// By hand, since prost's message would own what is borrowed here. Fields without content are left out, as in proto3.
    fn write(&self, out: &mut Vec<u8>) {
        write_text(out, 1, self.request_id.as_bytes());
        if let Some(payload) = self.payload {
            encode_key(2, WireType::LengthDelimited, out);
            encode_varint(any_size(payload) as u64, out);
            write_text(out, 1, payload.type_url.as_bytes());
            write_text(out, 2, &payload.data);
        }
        write_text(out, 3, self.error.as_bytes());
        write_text(out, 4, self.from_node.as_bytes());
        if self.message_type != MessageType::Undefined {
            encode_key(5, WireType::Varint, out);
            encode_varint(self.message_type.to_wire() as u64, out);
        }
    }
}

/// Compressed as other runners do it; none if that is still more than `limit` bytes.
pub(crate) fn compress(plain: &[u8], limit: usize) -> Option<Bytes> {
    // What does not compress is given up at the limit, not after its last byte.
    let packed = Bounded { bytes: Vec::new(), limit };
    let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::best());
    encoder.write_all(plain).and_then(|()| encoder.finish()).map(|packed| packed.bytes.into()).ok()
}

/// A writer that fails beyond its limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn any_size(payload: &Payload) -> usize {
    text_size(&payload.type_url) + text_size(&payload.data)
}

/// Size of a field of text or bytes; its key is one byte, since all tags are below 16.
fn text_size(content: impl AsRef<[u8]>) -> usize {
    match content.as_ref().len() {
        0 => 0,
        length => 1 + delimited(length),
    }
}

fn delimited(length: usize) -> usize {
    encoded_len_varint(length as u64) + length
}

fn write_text(out: &mut Vec<u8>, tag: u32, content: &[u8]) {
    if !content.is_empty() {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(content.len() as u64, out);
        out.extend_from_slice(content);
    }
}

fn expand(bytes: &[u8]) -> Result<Bytes, DecodeError> {
    let mut plain = Vec::new();
    let limit = MAX_EXPANDED as u64 + 1;
    flate2::read::MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut plain).map_err(DecodeError::Gzip)?;
    if plain.len() > MAX_EXPANDED { Err(DecodeError::TooLarge) } else { Ok(plain.into()) }
}
