//! Sending: the two spellings of one request header (V1 with full names, V2 with one letter each), and its response.

use super::field::{FieldValue, headers, read_piece};
use crate::command::Header;
use crate::error::HeaderError;
use crate::ext_fields::{ExtFields, Piece};
use crate::text::Text;

/// SEND_MESSAGE, SEND_MESSAGE_V2, SEND_BATCH_MESSAGE, SEND_REPLY_MESSAGE and SEND_REPLY_MESSAGE_V2.
///
/// `decode` takes both spellings, told apart field by field; `encode` writes V2, `encode_v1` V1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendMessageFields<T> {
    /// `a`, `producerGroup`
    pub producer_group: T,
    /// `b`, `topic`
    pub topic: T,
    /// `c`, `defaultTopic`: an unknown topic inherits from this one.
    pub default_topic: T,
    /// `d`, `defaultTopicQueueNums`
    pub default_topic_queue_nums: i32,
    /// `e`, `queueId`; negative: any.
    pub queue_id: i32,
    /// `f`, `sysFlag`
    pub sys_flag: i32,
    /// `g`, `bornTimestamp`, ms
    pub born_timestamp: i64,
    /// `h`, `flag`
    pub flag: i32,
    /// `i`, `properties`
    pub properties: Option<T>,
    /// `j`, `reconsumeTimes`
    pub reconsume_times: Option<i32>,
    /// `k`, `unitMode`
    pub unit_mode: Option<bool>,
    /// `l`, `maxReconsumeTimes`
    pub max_reconsume_times: Option<i32>,
    /// `m`, `batch`
    pub batch: Option<bool>,
    /// `n`, `bname`: the broker's name, for proxies.
    pub broker_name: Option<T>,
}

/// The header that owns its texts.
pub type SendMessageRequestHeader = SendMessageFields<Text>;
/// The header borrowed from the ext fields: for who reads it once and keeps nothing of it.
pub type SendMessageView<'a> = SendMessageFields<&'a str>;

/// Where the fields of one request are.
#[derive(Default)]
struct Pieces([Option<Piece>; 14]);

const V1_NAMES: [&str; 14] = [
    "producerGroup",
    "topic",
    "defaultTopic",
    "defaultTopicQueueNums",
    "queueId",
    "sysFlag",
    "bornTimestamp",
    "flag",
    "properties",
    "reconsumeTimes",
    "unitMode",
    "maxReconsumeTimes",
    "batch",
    "bname",
];

const V2_NAMES: [&str; 14] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"];

impl Pieces {
    /// One pass over the fields, instead of one search for each name.
    fn find(fields: &ExtFields) -> Self {
        let mut pieces = Self::default();
        for (key, piece) in fields.iter_pieces() {
            let at = match key {
                [letter @ b'a'..=b'n'] => usize::from(letter - b'a'),
                [_] => continue,
                _ => match V1_NAMES.iter().position(|name| name.as_bytes() == key) {
                    Some(at) => at,
                    None => continue,
                },
            };
            pieces.0[at] = Some(piece);
        }
        pieces
    }

    fn optional<T: FieldValue>(&self, at: usize, fields: &ExtFields) -> Result<Option<T>, HeaderError> {
        self.0[at].map(|piece| read_piece(V1_NAMES[at], fields, piece)).transpose()
    }

    fn required<T: FieldValue>(&self, at: usize, fields: &ExtFields) -> Result<T, HeaderError> {
        self.optional(at, fields)?.ok_or_else(|| missing(at))
    }
}

fn missing(at: usize) -> HeaderError {
    HeaderError::Missing { field: V1_NAMES[at] }
}

impl Header for SendMessageRequestHeader {
    fn decode(fields: &ExtFields) -> Result<Self, HeaderError> {
        Self::read(fields, |piece| fields.text(piece))
    }

    fn encode(&self, fields: &mut ExtFields) {
        self.encode_names(&V2_NAMES, fields);
    }
}

impl<'a> SendMessageView<'a> {
    /// Reads the header as `decode` does, without taking hold of the frame's memory for each text.
    pub fn of(fields: &'a ExtFields) -> Result<Self, HeaderError> {
        Self::read(fields, |piece| fields.str(piece))
    }
}

impl<T> SendMessageFields<T> {
    fn read(fields: &ExtFields, text: impl Fn(Piece) -> T) -> Result<Self, HeaderError> {
        let pieces = Pieces::find(fields);
        let required = |at: usize| pieces.0[at].map(&text).ok_or_else(|| missing(at));
        Ok(Self {
            producer_group: required(0)?,
            topic: required(1)?,
            default_topic: required(2)?,
            default_topic_queue_nums: pieces.required(3, fields)?,
            queue_id: pieces.required(4, fields)?,
            sys_flag: pieces.required(5, fields)?,
            born_timestamp: pieces.required(6, fields)?,
            flag: pieces.required(7, fields)?,
            properties: pieces.0[8].map(&text),
            reconsume_times: pieces.optional(9, fields)?,
            unit_mode: pieces.optional(10, fields)?,
            max_reconsume_times: pieces.optional(11, fields)?,
            batch: pieces.optional(12, fields)?,
            broker_name: pieces.0[13].map(&text),
        })
    }

    /// Whether the body is a batch.
    pub fn is_batch(&self) -> bool {
        self.batch.unwrap_or_default()
    }
}

impl SendMessageRequestHeader {
    /// Writes the full names, for SEND_MESSAGE (10) and SEND_REPLY_MESSAGE (324).
    pub fn encode_v1(&self, fields: &mut ExtFields) {
        self.encode_names(&V1_NAMES, fields);
    }

    fn encode_names(&self, names: &[&'static str; 14], fields: &mut ExtFields) {
        self.producer_group.write(names[0], fields);
        self.topic.write(names[1], fields);
        self.default_topic.write(names[2], fields);
        self.default_topic_queue_nums.write(names[3], fields);
        self.queue_id.write(names[4], fields);
        self.sys_flag.write(names[5], fields);
        self.born_timestamp.write(names[6], fields);
        self.flag.write(names[7], fields);
        write_some(self.properties.as_ref(), names[8], fields);
        write_some(self.reconsume_times.as_ref(), names[9], fields);
        write_some(self.unit_mode.as_ref(), names[10], fields);
        write_some(self.max_reconsume_times.as_ref(), names[11], fields);
        write_some(self.batch.as_ref(), names[12], fields);
        write_some(self.broker_name.as_ref(), names[13], fields);
    }
}

fn write_some<T: FieldValue>(value: Option<&T>, name: &'static str, fields: &mut ExtFields) {
    if let Some(value) = value {
        value.write(name, fields);
    }
}

headers! {
    /// The answer to every send. Add `MSG_REGION` and `TRACE_ON` to the same ext fields: Java looks them up without a check.
    SendMessageResponseHeader {
        /// The offset message id; those of a batch joined by commas.
        msg_id: Text => "msgId",
        queue_id: i32 => "queueId",
        /// Of the first message of a batch.
        queue_offset: i64 => "queueOffset",
        /// The unique key of the message.
        transaction_id: Option<Text> => "transactionId",
        batch_uniq_id: Option<Text> => "batchUniqId",
        recall_handle: Option<Text> => "recallHandle",
    }
}
