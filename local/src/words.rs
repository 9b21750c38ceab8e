//! Numbers and tables as people read them. Pure.

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds in the unit that fits: `0.08 ms`, `12.3 ms`, `1.24 s`.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn time(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{:.2} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// So many in so long, a second.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure for people"
)]
pub(crate) fn per_second(number: u64, micros: u64) -> u64 {
    if micros == 0 { 0 } else { (number as f64 * 1e6 / micros as f64).round() as u64 }
}

/// Columns as wide as their widest cell, the first one to the left, the others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut text = String::from(" ");
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            text += &if column == 0 { format!(" {cell}{pad}") } else { format!("  {pad}{cell}") };
        }
        text.trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([80, 9_999, 12_340, 1_240_000].map(time), ["0.08 ms", "10.00 ms", "12.3 ms", "1.24 s"]);
        assert_eq!(per_second(500, 250_000), 2000);
        assert_eq!(per_second(5, 0), 0);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let text =
            table(&[row(&["", "count", "rate"]), row(&["sent", "1,000", "20/s"]), row(&["lost", "0"])]);
        assert_eq!(text, "        count  rate\n  sent  1,000  20/s\n  lost      0");
        assert_eq!(table(&[]), "");
    }
}
