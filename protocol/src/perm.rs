//! A queue's permission bits. Source: RocketMQ `PermName`.

/// Priority bit; unused by brokers.
pub const PRIORITY: i32 = 0x8;
/// Readable.
pub const READ: i32 = 0x4;
/// Writable.
pub const WRITE: i32 = 0x2;
/// New topics may inherit from this one (TBW102).
pub const INHERIT: i32 = 0x1;

/// Whether queues may be read.
pub const fn is_readable(perm: i32) -> bool {
    perm & READ == READ
}

/// Whether queues may be written.
pub const fn is_writable(perm: i32) -> bool {
    perm & WRITE == WRITE
}

/// Whether new topics may inherit from this one.
pub const fn is_inherited(perm: i32) -> bool {
    perm & INHERIT == INHERIT
}

/// The three letters that tools show: `RWX`, `RW-`, …
pub fn text(perm: i32) -> String {
    let letter = |set: bool, letter: char| if set { letter } else { '-' };
    [letter(is_readable(perm), 'R'), letter(is_writable(perm), 'W'), letter(is_inherited(perm), 'X')]
        .into_iter()
        .collect()
}
