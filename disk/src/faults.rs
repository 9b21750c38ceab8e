//! What a `MemDisk` is told to do wrong, and the small generator that decides how a crash tears things.

use std::io;

/// The faults that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Counts down to the failing sync.
    sync_in: Option<u64>,
    /// Counts down to the failing write.
    write_in: Option<(u64, io::ErrorKind)>,
    /// Counts down to the power cut.
    power_in: Option<u64>,
    /// A change met the power cut.
    is_off: bool,
    /// Counts down to the failing read.
    read_in: Option<u64>,
}

impl Faults {
    pub(crate) fn fail_sync(&mut self, nth: u64) {
        self.sync_in = Some(nth);
    }

    pub(crate) fn fail_write(&mut self, nth: u64, kind: io::ErrorKind) {
        self.write_in = Some((nth, kind));
    }

    pub(crate) fn fail_read(&mut self, nth: u64) {
        self.read_in = Some(nth);
    }

    pub(crate) fn power_off_after(&mut self, changes: u64) {
        self.power_in = Some(changes);
    }

    /// Called before each change; an error once the power is off.
    pub(crate) fn change(&mut self) -> io::Result<()> {
        match &mut self.power_in {
            None => Ok(()),
            Some(0) => {
                self.is_off = true;
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "the power is off"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    /// Called before each read: a machine without power does not read either.
    pub(crate) fn read(&mut self) -> io::Result<()> {
        if self.is_off {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the power is off"));
        }
        if count_down(&mut self.read_in) { Err(input_output_error()) } else { Ok(()) }
    }

    pub(crate) fn write(&mut self) -> io::Result<()> {
        let Some((left, kind)) = self.write_in else { return Ok(()) };
        if left > 1 {
            self.write_in = Some((left - 1, kind));
            return Ok(());
        }
        self.write_in = None;
        Err(kind.into())
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if count_down(&mut self.sync_in) { Err(input_output_error()) } else { Ok(()) }
    }
}

fn input_output_error() -> io::Error {
    rustix::io::Errno::IO.into()
}

fn count_down(counter: &mut Option<u64>) -> bool {
    match counter {
        Some(left) if *left > 1 => {
            *left -= 1;
            false
        }
        Some(_) => {
            *counter = None;
            true
        }
        None => false,
    }
}

/// SplitMix64: enough chance for a crash, and a seed brings the same crash again.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}
