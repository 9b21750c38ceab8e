//! Small control structs to bytes and back: the one place that names bincode.
//!
//! Every encoding opens with a format byte and every decoding has a limit, so that neither a
//! hostile length nor tomorrow's layout can surprise us. Why bincode: docs/adr/0001-bincode.md.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::CodecError;

/// The format that this build writes and the only one that it reads.
const FORMAT: u8 = 1;
/// Control structs are small; anything larger is an attack or an accident.
const BYTES_MAX: usize = 16 << 20;

fn configuration() -> Configuration<LittleEndian, Fixint, Limit<BYTES_MAX>> {
    bincode::config::standard().with_fixed_int_encoding().with_limit::<BYTES_MAX>()
}

/// Encodes a control struct.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bincode::serde::encode_into_std_write(value, &mut bytes, configuration())
        .expect("a control struct below the limit always encodes");
    bytes
}

/// Decodes a control struct; trailing bytes are an error.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (&format, rest) = bytes.split_first().ok_or(CodecError::Empty)?;
    if format != FORMAT {
        return Err(CodecError::FormatUnknown { format });
    }
    let (value, used) = bincode::serde::decode_from_slice(rest, configuration())?;
    if used != rest.len() {
        return Err(CodecError::Trailing { left: rest.len() - used });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_struct_reads_back_as_it_was_written() {
        let value = (7u64, Some("n1".to_owned()), vec![1u32, 2]);
        assert_eq!(decode::<(u64, Option<String>, Vec<u32>)>(&encode(&value)).unwrap(), value);
    }

    #[test]
    fn an_unknown_format_and_trailing_bytes_are_refused() {
        let mut bytes = encode(&7u64);
        bytes.push(0);
        assert!(matches!(decode::<u64>(&bytes), Err(CodecError::Trailing { left: 1 })));
        bytes[0] = 9;
        assert!(matches!(decode::<u64>(&bytes), Err(CodecError::FormatUnknown { format: 9 })));
        assert!(matches!(decode::<u64>(&[]), Err(CodecError::Empty)));
    }

    proptest::proptest! {
        #[test]
        fn hostile_lengths_are_refused_without_the_memory_they_ask_for(bytes: Vec<u8>) {
            let _ = decode::<Vec<String>>(&bytes);
        }
    }
}
