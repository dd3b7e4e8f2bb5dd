//! Tables and indented JSON for people.

use alloc::{string::String, vec::Vec};

/// The least width of a column, and the space between two: those of runc's lists.
const WIDTH_MIN: usize = 12;
const SPACE: usize = 3;

/// Rows in columns as wide as their widest cell; the last is not filled up.
pub fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(WIDTH_MIN).max(cell.chars().count() + SPACE);
        }
    }
    let mut text = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if at + 1 < N {
                text.extend(core::iter::repeat_n(' ', widths[at] - cell.chars().count()));
            }
        }
        text.push('\n');
    }
    text
}

/// JSON of one line, two blanks deeper in each object and array. The order of members is kept.
pub fn indented(json: &str) -> String {
    let mut text = String::new();
    let mut depth = 0_usize;
    let mut rest = json.trim().chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(core::iter::repeat_n("  ", depth));
    };
    while let Some(letter) = rest.next() {
        match letter {
            '"' => {
                text.push('"');
                while let Some(letter) = rest.next() {
                    text.push(letter);
                    match letter {
                        '\\' => text.extend(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                text.push(letter);
                match rest.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(',');
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            blank if blank.is_whitespace() => {}
            other => text.push(other),
        }
    }
    text
}

/// Texts as rows of one table.
pub fn row<const N: usize>(cells: [&str; N]) -> [String; N] {
    cells.map(String::from)
}

/// The rows of a table, its heading first.
pub fn headed<const N: usize>(heading: [&str; N]) -> Vec<[String; N]> {
    Vec::from([row(heading)])
}
