//! The figures as tables in Markdown, which are also read well on a terminal.

use crate::results::{Measure, PEERS, Results, WALL};
use std::fmt::Write;
use veridian_tests_qemu::Arch;

/// All tables of an architecture, one for each way of measuring.
pub fn text(arch: Arch, results: &Results) -> String {
    let mut text = String::new();
    if !results.linux.is_empty() {
        writeln!(text, "{arch}, compared with {}", results.linux).expect("a String takes all that is written to it");
    }
    for measure in [&[Measure::Instructions, Measure::Bytes][..], &WALL].concat() {
        text += &table(results, measure);
    }
    text
}

/// The page that shows all results.
pub fn page(all: &[(Arch, Results)]) -> String {
    let mut page = String::from(
        "# Results\n\nWritten by `make bench`, from the JSON files beside it; what the rows are, and what to make of them, is in\n\
         [docs/figures.md](../../docs/figures.md).\n\n![Instructions here as a part of those on Linux](chart.svg)\n",
    );
    for (arch, results) in all {
        page += &format!("\n## {arch}\n\n{}", text(*arch, results));
    }
    page
}

fn table(results: &Results, measure: Measure) -> String {
    let rows: Vec<_> = results.rows().filter_map(|(work, row)| Some((work, row.get(&measure)?))).collect();
    if rows.is_empty() {
        return String::new();
    }
    // Peers that did none of this have no column.
    let peers: Vec<_> = (0..PEERS.len()).filter(|&peer| rows.iter().any(|(_, by)| by[peer].is_some())).collect();
    let mut lines = vec![vec![measure.to_string()]];
    for &peer in &peers {
        lines[0].push(PEERS[peer].to_owned());
        if peer > 0 {
            lines[0].push("ratio".to_owned());
        }
    }
    for (work, by) in rows {
        let mut line = vec![work.to_owned()];
        for &peer in &peers {
            line.push(by[peer].map(number).unwrap_or_default());
            if peer > 0 {
                line.push(by[0].zip(by[peer]).map(|(here, there)| ratio(here, there)).unwrap_or_default());
            }
        }
        lines.push(line);
    }
    aligned(&lines)
}

/// A Markdown table of these lines, the first being its head, the first column of names and the others of numbers.
fn aligned(lines: &[Vec<String>]) -> String {
    let widths: Vec<_> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0).max(3))
        .collect();
    let mut text = String::from("\n");
    for (at, line) in lines.iter().enumerate() {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            let cell = if column == 0 { format!("| {cell:width$} ") } else { format!("| {cell:>width$} ") };
            text += &cell;
        }
        text += "|\n";
        if at == 0 {
            for (column, width) in widths.iter().enumerate() {
                text += &if column == 0 {
                    format!("| {} ", "-".repeat(*width))
                } else {
                    format!("| {}: ", "-".repeat(width - 1))
                };
            }
            text += "|\n";
        }
    }
    text
}

/// A figure: whole when it is large, with commas.
fn number(figure: f64) -> String {
    if figure < 1000.0 {
        return format!("{figure:.1}").trim_end_matches(".0").to_owned();
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What part of the peer's figure this kernel's is: `0.42`, or `1/128` when it is that small.
fn ratio(here: f64, there: f64) -> String {
    match here / there {
        part if part < 0.1 && part > 0.0 => format!("1/{:.0}", 1.0 / part),
        part => format!("{part:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_ratios_are_readable() {
        assert_eq!(number(413.0), "413");
        assert_eq!(number(2.25), "2.2");
        assert_eq!(number(1_234_567.4), "1,234,567");
        assert_eq!(ratio(1.0, 128.0), "1/128");
        assert_eq!(ratio(3.0, 2.0), "1.50");
    }

    #[test]
    fn a_peer_that_did_nothing_has_no_column() {
        let mut results = Results::default();
        results.put("boot", Measure::Instructions, "veridian", 10.0);
        results.put("boot", Measure::Instructions, "linux", 1000.0);
        let text = table(&results, Measure::Instructions);
        assert!(text.contains("linux") && !text.contains("crun"), "{text}");
        assert!(text.contains("1/100"), "{text}");
    }
}
