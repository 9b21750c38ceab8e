//! Whatever arrives on a socket: frames are taken off until the bytes end or are refused; what was read is written and read again.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use protocol::{SerializeType, frame};

fuzz_target!(|data: &[u8]| {
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(command)) = frame::decode(&mut buffer) {
        let is_exact = command.serialize_type == SerializeType::Json;
        let mut again = BytesMut::new();
        frame::encode(&command, &mut again);
        let read = frame::decode(&mut again).expect("what we write is a frame").expect("and a whole one");
        if is_exact {
            assert_eq!(read.ext_fields, command.ext_fields);
            assert_eq!((read.code, read.opaque, read.flag), (command.code, command.opaque, command.flag));
        }
    }
});
