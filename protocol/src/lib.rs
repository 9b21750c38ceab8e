//! Every byte that others can see: frame, command, headers, bodies, message. Pure: no tokio, no file, no clock.
//!
//! Always true here: nothing that a peer or a file sent can panic this room or make it allocate more than a small multiple of what
//! was sent; what is written is what RocketMQ 5.3.3 writes (golden bytes in `tests/golden`); what is read is what any RocketMQ client
//! since 3.x has been seen to write.

pub mod body;
pub mod code;
pub mod command;
mod decimal;
pub mod error;
pub mod ext_fields;
pub mod frame;
pub mod header;
pub mod json;
pub mod language;
pub mod message;
pub mod message_id;
pub mod perm;
pub mod properties;
pub mod sys_flag;
pub mod tags;
mod text;
pub mod topic;

pub use bytes::{Bytes, BytesMut};
pub use code::{RequestCode, ResponseCode};
pub use command::{FLAG_ONEWAY, FLAG_RESPONSE, Header, RemotingCommand, VERSION};
pub use error::{BodyError, FrameError, HeaderError, MessageError, NameError, UnknownCode};
pub use ext_fields::ExtFields;
pub use language::{LanguageCode, SerializeType};
pub use text::Text;
