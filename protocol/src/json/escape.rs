//! Text inside JSON quotes, escaped as fastjson does.

use bytes::{BufMut, BytesMut};

/// Whether a byte can start something that must be escaped. Multi-byte characters that fastjson escapes begin with
/// 0xC2 (U+007F–U+009F) or 0xE2 (U+2028, U+2029).
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[0x7F] = true;
    table[0xC2] = true;
    table[0xE2] = true;
    table
};

/// Appends `text`, which is UTF-8, without its quotes.
pub(crate) fn escape_into(text: &[u8], out: &mut BytesMut) {
    let mut from = 0;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        if !SPECIAL[byte as usize] {
            at += 1;
            continue;
        }
        let (code, len) = match (byte, &text[at + 1..]) {
            (0xC2, [next @ 0x80..=0x9F, ..]) => (u32::from(*next), 2),
            (0xE2, [0x80, next @ (0xA8 | 0xA9), ..]) => (0x2000 | u32::from(*next & 0x3F), 3),
            (0xC2 | 0xE2, _) => {
                at += 1;
                continue;
            }
            _ => (u32::from(byte), 1),
        };
        out.put_slice(&text[from..at]);
        put_escape(code, out);
        at += len;
        from = at;
    }
    out.put_slice(&text[from..]);
}

fn put_escape(code: u32, out: &mut BytesMut) {
    let letter = match code {
        0x08 => b'b',
        0x09 => b't',
        0x0A => b'n',
        0x0C => b'f',
        0x0D => b'r',
        0x22 => b'"',
        0x5C => b'\\',
        _ => {
            put_unicode(code, out);
            return;
        }
    };
    out.put_slice(&[b'\\', letter]);
}

/// Appends `\uXXXX` for one UTF-16 unit.
pub(crate) fn put_unicode(unit: u32, out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |shift: u32| DIGITS[(unit >> shift & 0xF) as usize];
    out.put_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

/// Appends `text` with everything beyond ASCII as UTF-16 escapes (fastjson's `BrowserCompatible`).
pub(crate) fn escape_ascii_into(text: &str, out: &mut BytesMut) {
    for character in text.chars() {
        if character == '/' {
            out.put_slice(b"\\/");
        } else if character.is_ascii() {
            escape_into(&[character as u8], out);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                put_unicode(u32::from(*unit), out);
            }
        }
    }
}
