//! Facts in columns.

use crate::output::Output;
use crate::units::plain;

/// How many columns the details of a fact have.
const COLUMNS: usize = 5;

/// What is known of a database, a line each.
#[derive(Default)]
pub(crate) struct Facts {
    lines: Vec<Line>,
}

enum Line {
    Fact(&'static str, String),
    Detail([String; COLUMNS]),
}

impl Facts {
    pub(crate) fn add(&mut self, name: &'static str, value: String) {
        self.lines.push(Line::Fact(name, value));
    }

    /// Figures that are part of the fact before: a name and columns of numbers.
    pub(crate) fn detail(&mut self, columns: [String; COLUMNS]) {
        self.lines.push(Line::Detail(columns));
    }

    /// The lines under a title.
    pub(crate) fn under(&self, kind: &str, path: &str, output: &Output) -> String {
        let name_width = self.width(|line| match line {
            Line::Fact(name, _) => name.len(),
            Line::Detail(_) => 0,
        });
        let column_width: Vec<usize> = (0..COLUMNS)
            .map(|column| {
                self.width(|line| match line {
                    Line::Fact(..) => 0,
                    Line::Detail(columns) => columns.get(column).map_or(0, String::len),
                })
            })
            .collect();
        let mut text = format!("{}  {kind}\n", output.bold(plain(path)));
        for line in &self.lines {
            text.push_str("  ");
            match line {
                Line::Fact(name, value) => {
                    text.push_str(&output.dim(format!("{name:name_width$}")));
                    text.push_str("  ");
                    text.push_str(value);
                }
                Line::Detail(columns) => {
                    text.push_str(&" ".repeat(name_width));
                    for (column, (value, width)) in columns.iter().zip(&column_width).enumerate() {
                        text.push_str(&match column {
                            0 => format!("  {value:width$}"),
                            _ => format!("  {value:>width$}"),
                        });
                    }
                }
            }
            text.push('\n');
        }
        text
    }

    fn width(&self, of: impl Fn(&Line) -> usize) -> usize {
        self.lines.iter().map(of).max().unwrap_or(0)
    }
}
