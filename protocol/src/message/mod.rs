//! The message as it is stored and as consumers receive it: the same bytes. `store` writes and walks them, `broker` builds them,
//! `client` reads them.

mod batch;
mod encode;
mod ext;
mod head;
mod view;

pub use batch::{BatchMessage, batch_messages, encode_batch_message};
pub use encode::{MessageFields, encode_record, patch_record, record_len};
pub use ext::{BODY_BYTES_MAX, MessageExt, compress, decode_all};
pub use head::{
    FILLER_BYTES_MIN, MAGIC_FILLER, MAGIC_V1, MAGIC_V2, RECORD_BYTES_MIN, RecordHead, encode_filler,
    record_head,
};
pub use view::{MessageView, body_crc};
