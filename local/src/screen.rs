//! What the user sees: lines that stay, and below them, on a terminal, what changes in place.
//!
//! Where nobody looks at a terminal there is nothing in place: whoever has a figure says it as a line.

use std::io::{IsTerminal, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    bars: MultiProgress,
    is_terminal: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        Self { bars, is_terminal: std::io::stdout().is_terminal() }
    }

    /// Whether figures may change in place.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Says something that stays; nobody listening is no reason to stop.
    pub(crate) fn say(&self, text: &str) {
        self.bars.suspend(|| {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{text}").and_then(|()| out.flush());
        });
    }

    /// A line that changes in place. Hidden where there is no terminal.
    pub(crate) fn line(&self) -> ProgressBar {
        self.bars.add(ProgressBar::new_spinner().with_style(style("{wide_msg}")))
    }

    /// A bar. Hidden where there is no terminal.
    pub(crate) fn bar(&self, label: &'static str, length: u64) -> ProgressBar {
        let looks = style("  {prefix:9} [{bar:40}] {human_pos} of {human_len}  {msg}").progress_chars("=> ");
        self.bars.add(ProgressBar::new(length).with_style(looks).with_prefix(label))
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("our own template is well formed")
}
