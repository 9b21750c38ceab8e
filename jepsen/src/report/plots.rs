//! Latency and throughput over time as SVG, with the faults shaded behind them.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::{Error, Result};
use crate::history::{Call, FaultNote, FaultPhase, Operation, Outcome};

/// Points of a scatter; more make the picture heavy and no clearer.
const POINTS_MAX: usize = 6_000;

const SIZE: (u32, u32) = (1_400, 520);

const OK: RGBColor = RGBColor(46, 125, 50);
const FAIL: RGBColor = RGBColor(198, 40, 40);
const UNKNOWN: RGBColor = RGBColor(245, 124, 0);
const SHADE: RGBColor = RGBColor(120, 120, 160);

/// Draws `latency.svg` and `timeline.svg`.
pub fn draw(directory: &Path, operations: &[Operation], faults: &[(u64, FaultNote)]) -> Result<()> {
    let writes: Vec<&Operation> = operations.iter().filter(|operation| is_write(&operation.call)).collect();
    let end = writes.iter().filter_map(|operation| operation.returned).max().unwrap_or(1) as f64 / 1e6;
    let latency = directory.join("latency.svg");
    latencies(&latency, &writes, faults, end).map_err(|reason| Error::Plot { path: latency, reason })?;
    let timeline = directory.join("timeline.svg");
    rates(&timeline, &writes, faults, end).map_err(|reason| Error::Plot { path: timeline, reason })
}

fn is_write(call: &Call) -> bool {
    matches!(
        call,
        Call::Send { .. } | Call::SendDelayed { .. } | Call::SendOrdered { .. } | Call::Write { .. }
    )
}

fn color(outcome: Outcome) -> RGBColor {
    match outcome {
        Outcome::Ok => OK,
        Outcome::Fail => FAIL,
        Outcome::Unknown => UNKNOWN,
    }
}

fn latencies(
    path: &Path,
    writes: &[&Operation],
    faults: &[(u64, FaultNote)],
    end: f64,
) -> Result<(), String> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(told)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("latency of writes: green ok, red refused, orange unknown", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..end, (0.1..10_000.0).log_scale())
        .map_err(told)?;
    chart.configure_mesh().x_desc("s").y_desc("ms").draw().map_err(told)?;
    chart.draw_series(shades(faults, end, 0.1, 10_000.0)).map_err(told)?;
    let every = writes.len().div_ceil(POINTS_MAX).max(1);
    // What did not succeed is rare and what one looks for: none of it is left out.
    let kept = writes
        .iter()
        .enumerate()
        .filter(|(index, operation)| index % every == 0 || operation.outcome != Outcome::Ok);
    let points = kept.filter_map(|(_, operation)| {
        let millis = (operation.returned? - operation.invoked) as f64 / 1e3;
        Some(Circle::new(
            (operation.invoked as f64 / 1e6, millis.clamp(0.1, 9_999.0)),
            2,
            color(operation.outcome).filled(),
        ))
    });
    chart.draw_series(points.take(3 * POINTS_MAX)).map_err(told)?;
    present(&area)
}

fn rates(path: &Path, writes: &[&Operation], faults: &[(u64, FaultNote)], end: f64) -> Result<(), String> {
    let seconds = end.ceil() as usize + 1;
    let mut counts = [vec![0_u32; seconds], vec![0; seconds], vec![0; seconds]];
    for operation in writes {
        let second = (operation.returned.unwrap_or(operation.invoked) / 1_000_000) as usize;
        let line = match operation.outcome {
            Outcome::Ok => 0,
            Outcome::Fail => 1,
            Outcome::Unknown => 2,
        };
        if let Some(count) = counts[line].get_mut(second) {
            *count += 1;
        }
    }
    let top = counts.iter().flatten().copied().max().unwrap_or(1).max(1);
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(told)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("writes a second: green ok, red refused, orange unknown", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..end, 0_u32..top + top / 10 + 1)
        .map_err(told)?;
    chart.configure_mesh().x_desc("s").y_desc("writes / s").draw().map_err(told)?;
    chart.draw_series(shades(faults, end, 0, top + top / 10 + 1)).map_err(told)?;
    for (counts, outcome) in counts.iter().zip([Outcome::Ok, Outcome::Fail, Outcome::Unknown]) {
        let line = counts.iter().enumerate().map(|(second, count)| (second as f64, *count));
        chart.draw_series(LineSeries::new(line, color(outcome).stroke_width(2))).map_err(told)?;
    }
    present(&area)
}

/// One rectangle for each fault, from its strike to its healing.
fn shades<Y: Copy>(faults: &[(u64, FaultNote)], end: f64, low: Y, high: Y) -> Vec<Rectangle<(f64, Y)>> {
    let struck = faults
        .iter()
        .filter(|(_, note)| matches!(note.phase, FaultPhase::Installed | FaultPhase::Indeterminate));
    let shade = |(at, note): &(u64, FaultNote)| {
        let healed =
            faults.iter().find(|(_, other)| other.id == note.id && other.phase == FaultPhase::Healed);
        let from = *at as f64 / 1e6;
        let to = healed.map_or(end, |(at, _)| *at as f64 / 1e6).max(from + end / 500.0).min(end);
        Rectangle::new([(from, low), (to, high)], SHADE.mix(0.18).filled())
    };
    struck.map(shade).collect()
}

fn present(area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), String> {
    area.present().map_err(told)
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pictures_are_drawn_with_their_shades() {
        let operations: Vec<Operation> = (0..500)
            .map(|index| Operation {
                op: index,
                process: 0,
                invoked: index * 20_000,
                returned: Some(index * 20_000 + 900),
                outcome: if index % 50 == 0 { Outcome::Unknown } else { Outcome::Ok },
                call: Call::Send { queue: 0, value: index },
                answer: None,
                error: None,
            })
            .collect();
        let note = |phase| FaultNote {
            id: 0,
            nemesis: "kill-leader".to_owned(),
            phase,
            nodes: vec![0],
            what: String::new(),
        };
        let faults = [(2_000_000, note(FaultPhase::Installed)), (4_000_000, note(FaultPhase::Healed))];
        let directory = tempfile::tempdir().unwrap();
        draw(directory.path(), &operations, &faults).unwrap();
        for name in ["latency.svg", "timeline.svg"] {
            let picture = std::fs::read_to_string(directory.path().join(name)).unwrap();
            assert!(picture.contains("<svg") && picture.contains("opacity=\"0.18\""), "{name}");
        }
        draw(directory.path(), &[], &[]).unwrap();
    }
}
