//! `RemotingCommand`: one request or response, as every other room sees it. How it looks on the wire is `frame`'s business.

use bytes::Bytes;

use crate::code::{RequestCode, ResponseCode};
use crate::error::HeaderError;
use crate::ext_fields::ExtFields;
use crate::language::{LanguageCode, SerializeType};

/// The protocol version that we speak and announce: RocketMQ 5.3.3. Source: `MQVersion.Version.V5_3_3`.
pub const VERSION: i32 = 479;

/// Bit of `flag`: this is a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Bit of `flag`: nobody waits for an answer.
pub const FLAG_ONEWAY: i32 = 2;

/// A custom header: one struct a request or response, read from and written to ext fields.
pub trait Header: Sized {
    /// Reads the header; ext fields that it does not know are ignored.
    fn decode(fields: &ExtFields) -> Result<Self, HeaderError>;
    /// Adds the header's fields.
    fn encode(&self, fields: &mut ExtFields);
}

/// One request or response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotingCommand {
    /// Request code or response code.
    pub code: i32,
    /// The sender's language.
    pub language: LanguageCode,
    /// The sender's version ordinal.
    pub version: i32,
    /// The sender's number of the request; a response repeats it.
    pub opaque: i32,
    /// Response and one-way bits.
    pub flag: i32,
    /// What went wrong, or the status name of a pull.
    pub remark: Option<String>,
    /// The custom header.
    pub ext_fields: ExtFields,
    /// How the header is written.
    pub serialize_type: SerializeType,
    /// The body.
    pub body: Bytes,
}

impl RemotingCommand {
    /// A request without custom header. Its opaque is 0: whoever owns the connection numbers it.
    pub fn request(code: RequestCode) -> Self {
        Self::new(code.number(), 0)
    }

    /// A request with its custom header.
    pub fn request_with<H: Header>(code: RequestCode, header: &H) -> Self {
        Self::request(code).with_header(header)
    }

    /// A response; `answers` ties it to its request.
    pub fn response(code: ResponseCode) -> Self {
        Self::new(code.number(), FLAG_RESPONSE)
    }

    fn new(code: i32, flag: i32) -> Self {
        Self {
            code,
            language: LanguageCode::Java,
            version: VERSION,
            opaque: 0,
            flag,
            remark: None,
            ext_fields: ExtFields::new(),
            serialize_type: SerializeType::Json,
            body: Bytes::new(),
        }
    }

    /// With this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With this remark.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// With the fields of this header added.
    #[must_use]
    pub fn with_header<H: Header>(mut self, header: &H) -> Self {
        header.encode(&mut self.ext_fields);
        self
    }

    /// With one more ext field.
    #[must_use]
    pub fn with_ext(mut self, key: &str, value: &str) -> Self {
        self.ext_fields.insert(key, value);
        self
    }

    /// Reads the custom header.
    pub fn header<H: Header>(&self) -> Result<H, HeaderError> {
        H::decode(&self.ext_fields)
    }

    /// The request code, when it is one of the table.
    pub fn request_code(&self) -> Option<RequestCode> {
        RequestCode::try_from(self.code).ok()
    }

    /// The response code, when it is one of the table.
    pub fn response_code(&self) -> Option<ResponseCode> {
        ResponseCode::try_from(self.code).ok()
    }

    /// Whether this is a response.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether nobody waits for an answer: then none may be sent.
    pub fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }

    /// Marks a request as one that nobody waits for.
    pub fn mark_oneway(&mut self) {
        self.flag |= FLAG_ONEWAY;
    }

    /// Makes this the response to `request`: its opaque, in the serialize type that it understands.
    #[must_use]
    pub fn answers(mut self, request: &Self) -> Self {
        self.opaque = request.opaque;
        self.serialize_type = request.serialize_type;
        self.flag |= FLAG_RESPONSE;
        self
    }
}
