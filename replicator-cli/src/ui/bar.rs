//! A row of progress: name first, then bytes, percent, rate, time left, and a bar.

use console::{Alignment, pad_str};

use super::words::{amount, time};

/// The widest name; a bar takes what is left.
const WIDEST_NAME: usize = 60;
/// The shortest bar.
const SHORTEST_BAR: usize = 10;

/// The amounts of a row.
pub(super) struct Amounts {
    pub(super) bytes: u64,
    pub(super) total: u64,
    /// Bytes a second.
    pub(super) rate: u64,
}

/// Renders a row for a width in columns. What there is no room for is left out: first the rate and
/// the time, then the bytes.
pub(super) fn row(name: &str, amounts: &Amounts, width: usize) -> String {
    let Amounts { bytes, total, rate } = *amounts;
    let percent = bytes.saturating_mul(100).checked_div(total);
    let percent = percent.map(|percent| format!("{percent}%"));
    let mut columns = String::new();
    if width >= 55 {
        columns += &format!(" {:>10}", amount(bytes));
    }
    columns += &format!(" {:>4}", percent.as_deref().unwrap_or("-"));
    if width >= 75 {
        let left = total.saturating_sub(bytes).checked_div(rate).map(time);
        let rate = format!("{}/s", amount(rate));
        columns += &format!(" {rate:>12} {:>11}", left.as_deref().unwrap_or("-"));
    }
    columns.push(' ');
    let room = width.saturating_sub(columns.len());
    let name_width = room.saturating_sub(SHORTEST_BAR).min(WIDEST_NAME);
    let name = pad_str(name, name_width, Alignment::Left, Some("…"));
    format!("{name}{columns}{}", bar(amounts, room - name_width))
}

fn bar(amounts: &Amounts, width: usize) -> String {
    let cells = u64::try_from(width).unwrap_or(0);
    let filled = cells
        .saturating_mul(amounts.bytes)
        .checked_div(amounts.total);
    let filled = filled.unwrap_or(0).min(cells);
    let filled = usize::try_from(filled).unwrap_or(width);
    "█".repeat(filled) + &"░".repeat(width - filled)
}

#[cfg(test)]
mod tests {
    use console::measure_text_width;

    use super::*;

    #[test]
    fn a_row_has_what_there_is_room_for_and_is_never_wider() {
        let half = Amounts {
            bytes: 700 << 20,
            total: 1400 << 20,
            rate: 10 << 20,
        };
        insta::assert_snapshot!(row("Ubuntu 24.04 LTS (Noble)", &half, 39), @"Ubuntu 24.04 LTS (Nobl…  50% █████░░░░░");
        insta::assert_snapshot!(row("Ubuntu 24.04 LTS (Noble)", &half, 59), @"Ubuntu 24.04 LTS (Noble)          700.0 MiB  50% █████░░░░░");
        insta::assert_snapshot!(row("Ubuntu 24.04 LTS (Noble)", &half, 79), @"Ubuntu 24.04 LTS (Noble)     700.0 MiB  50%   10.0 MiB/s  1 min 10 s █████░░░░░");
        let nothing = Amounts {
            bytes: 0,
            total: 0,
            rate: 0,
        };
        for amounts in [half, nothing] {
            for width in [30, 39, 59, 79, 199] {
                for name in ["x", "東京のイメージ", &"long ".repeat(50)] {
                    let row = row(name, &amounts, width);
                    assert_eq!(measure_text_width(&row), width, "{row}");
                }
            }
        }
        // However narrow it is, nothing overflows.
        assert!(!row("x", &nothing_at_all(), 3).is_empty());
    }

    fn nothing_at_all() -> Amounts {
        Amounts {
            bytes: u64::MAX,
            total: 1,
            rate: 1,
        }
    }
}
