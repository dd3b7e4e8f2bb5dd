//! One picture of all results: for each piece of work a line, on it a dot for each architecture, at the part of Linux's
//! instructions that this kernel takes for the same.

use crate::results::{Measure, PEERS, Results};
use veridian_tests_qemu::Arch;

const COLOURS: [(Arch, &str); 3] = [(Arch::X86_64, "#0b62a4"), (Arch::Aarch64, "#c8501e"), (Arch::Riscv64, "#2e8b57")];
/// The axis, by powers of ten: from 1/1000 to 10.
const FROM: f64 = -3.0;
const TO: f64 = 1.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 780.0;
const TOP: f64 = 64.0;
const LINE: f64 = 17.0;

/// Draws it.
pub fn svg(all: &[(Arch, Results)]) -> String {
    let colour = |arch: Arch| COLOURS.iter().find(|(of, _)| *of == arch).map_or("#000000", |(_, colour)| *colour);
    let mut lines: Vec<(String, Vec<(&str, f64)>)> = Vec::new();
    for (arch, results) in all {
        for (work, row) in results.rows() {
            let measures = [row.get(&Measure::Instructions), row.get(&Measure::Bytes)];
            for by in measures.into_iter().flatten() {
                for peer in 1..PEERS.len() {
                    let (Some(here), Some(there)) = (by[0], by[peer]) else { continue };
                    let name =
                        if PEERS[peer] == "linux" { work.to_owned() } else { format!("{work} / {}", PEERS[peer]) };
                    let at = lines.iter().position(|(line, _)| *line == name).unwrap_or_else(|| {
                        lines.push((name, Vec::new()));
                        lines.len() - 1
                    });
                    lines[at].1.push((colour(*arch), here / there));
                }
            }
        }
    }
    let height = TOP + LINE * lines.len() as f64 + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<text x=\"10\" y=\"18\" \
         font-size=\"13\">Instructions (bytes, for memory) here as a part of those on Linux: left of the bold line is \
         less</text>\n"
    );
    for (at, (arch, _)) in all.iter().enumerate() {
        let (x, colour) = (10.0 + 90.0 * at as f64, colour(*arch));
        svg += &format!("<circle cx=\"{x:.0}\" cy=\"32\" r=\"4\" fill=\"{colour}\"/>\n");
        svg += &format!("<text x=\"{:.0}\" y=\"36\">{arch}</text>\n", x + 8.0);
    }
    for power in FROM as i32..=TO as i32 {
        let x = place(10_f64.powi(power));
        let width = if power == 0 { 2 } else { 1 };
        let label = if power < 0 {
            format!("1/{}", 10_u32.pow(power.unsigned_abs()))
        } else {
            format!("{}", 10_u32.pow(power as u32))
        };
        svg += &format!(
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"54\" y2=\"{:.0}\" stroke=\"#999999\" stroke-width=\"{width}\"/>\n",
            height - 10.0
        );
        svg += &format!("<text x=\"{x:.1}\" y=\"50\" text-anchor=\"middle\">{label}</text>\n");
    }
    for (at, (name, dots)) in lines.iter().enumerate() {
        let y = TOP + LINE * at as f64 + 6.0;
        svg += &format!("<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\n", LEFT - 8.0, y + 4.0);
        svg += &format!("<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#eeeeee\"/>\n");
        for (colour, part) in dots {
            svg += &format!("<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>\n", place(*part));
        }
    }
    svg + "</svg>\n"
}

/// Where a ratio lies on the axis; what is beyond its ends lies there.
fn place(part: f64) -> f64 {
    LEFT + (part.log10().clamp(FROM, TO) - FROM) / (TO - FROM) * (RIGHT - LEFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_its_ends() {
        assert_eq!(place(0.001), LEFT);
        assert_eq!(place(10.0), RIGHT);
        assert_eq!(place(0.0), LEFT);
        assert!(place(0.5) < place(1.0));
    }
}
