//! Bar charts as SVG, with their values beside the bars. They bring their own background
//! in both colour schemes, so they are legible wherever they are shown.

const WIDTH: f64 = 760.0;
/// Where the bars begin: the names of the groups are left of it.
const LEFT: f64 = 210.0;
/// Kept free for the values of the longest bars.
const RIGHT: f64 = 110.0;
const TOP: f64 = 86.0;
const BAR: f64 = 16.0;
const GAP: f64 = 12.0;
const TICKS: u32 = 4;

const STYLE: &str = "\
    text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}\
    .title{font-size:17px;font-weight:600}.quiet{fill:#59636e}\
    .value{paint-order:stroke;stroke:#ffffff;stroke-width:4px}.back{fill:#ffffff}.grid{stroke:#d1d9e0}.mark{stroke:#59636e;stroke-dasharray:4 3}\
    .c0{fill:#8c959f}.c1{fill:#0969da}.c2{fill:#8250df}.c3{fill:#bc4c00}\
    @media (prefers-color-scheme:dark){\
    text{fill:#f0f6fc}.quiet{fill:#9198a1}\
    .value{stroke:#0d1117}.back{fill:#0d1117}.grid{stroke:#3d444d}.mark{stroke:#9198a1}\
    .c0{fill:#6e7681}.c1{fill:#4493f8}.c2{fill:#ab7df8}.c3{fill:#f0883e}}";

/// A bar: its colour, 0 to 3, its value, and what is written beside it.
pub(super) struct Bar {
    pub(super) colour: u8,
    pub(super) value: f64,
    pub(super) label: String,
}

/// A chart of groups of horizontal bars.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// What an axis of this unit shows.
    pub(super) axis: &'a str,
    /// The names of the colours.
    pub(super) legend: &'a [(u8, &'a str)],
    /// Lines across all bars, with their names.
    pub(super) marks: &'a [(f64, &'a str)],
    pub(super) groups: Vec<(String, Vec<Bar>)>,
    /// The last line.
    pub(super) note: &'a str,
}

impl Chart<'_> {
    pub(super) fn draw(&self) -> String {
        let bars: usize = self.groups.iter().map(|(_, bars)| bars.len()).sum();
        let bottom = TOP + bars as f64 * BAR + self.groups.len() as f64 * GAP + GAP;
        let height = bottom + 72.0;
        let scale = (WIDTH - LEFT - RIGHT) / self.end();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
             <title>{title}</title><style>{STYLE}</style>\n\
             <rect class=\"back\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n",
            title = escape(self.title),
        );
        let text = |class: &str, anchor: &str, x: f64, y: f64, content: &str| {
            format!(
                "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n",
                escape(content)
            )
        };
        svg += &text("title", "start", 20.0, 30.0, self.title);
        let mut x = 20.0;
        for (colour, name) in self.legend {
            svg += &rect(*colour, x, 45.0, 11.0, 11.0);
            svg += &text("", "start", x + 17.0, 55.0, name);
            x += 46.0 + 6.6 * name.len() as f64;
        }
        for tick in 0..=TICKS {
            let value = self.end() * f64::from(tick) / f64::from(TICKS);
            let x = LEFT + value * scale;
            svg += &line("grid", x, TOP, bottom);
            svg += &text("quiet", "middle", x, bottom + 16.0, &self.tick(value));
        }
        let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
        svg += &text("quiet", "middle", middle, bottom + 34.0, self.axis);
        for (value, name) in self.marks {
            let x = LEFT + value * scale;
            svg += &line("mark", x, TOP, bottom);
            svg += &text("quiet", "middle", x, TOP - 6.0, name);
        }
        let mut y = TOP + GAP;
        for (name, bars) in &self.groups {
            let centre = y + bars.len() as f64 * BAR / 2.0;
            svg += &text("", "end", LEFT - 10.0, centre + 4.0, name);
            for bar in bars {
                let length = (bar.value * scale).max(1.0);
                svg += &rect(bar.colour, LEFT, y + 1.0, length, BAR - 2.0);
                svg += &text("value", "start", LEFT + length + 6.0, y + 12.0, &bar.label);
                y += BAR;
            }
            y += GAP;
        }
        svg += &text("quiet", "start", 20.0, height - 12.0, self.note);
        svg + "</svg>\n"
    }

    /// What is written below a line of the grid, with as many places on all of them.
    fn tick(&self, value: f64) -> String {
        let places = (0..3).find(|places| {
            let tens = 10_f64.powi(*places);
            let step = self.end() / f64::from(TICKS) * tens;
            (step - step.round()).abs() < 1e-6
        });
        let places = places.unwrap_or(3).unsigned_abs() as usize;
        grouped(&format!("{value:.places$}"))
    }

    /// Where the axis ends: a round number that no bar reaches beyond.
    fn end(&self) -> f64 {
        let bars = self.groups.iter().flat_map(|(_, bars)| bars);
        let marks = self.marks.iter().map(|(value, _)| *value);
        let most = bars.map(|bar| bar.value).chain(marks).fold(0.0, f64::max);
        let power = 10_f64.powf(most.max(1e-9).log10().floor());
        [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0]
            .into_iter()
            .map(|step| step * power)
            .find(|end| *end >= most)
            .unwrap_or(most)
    }
}

fn rect(colour: u8, x: f64, y: f64, width: f64, height: f64) -> String {
    format!(
        "<rect class=\"c{colour}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{height:.1}\" rx=\"2\"/>\n"
    )
}

fn line(class: &str, x: f64, top: f64, bottom: f64) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>\n"
    )
}

/// A number with as many places as a reader needs, and thousands set apart.
pub(super) fn number(value: f64) -> String {
    let text = match value {
        value if value >= 10.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    };
    grouped(&text)
}

fn grouped(text: &str) -> String {
    let digits = text.find('.').unwrap_or(text.len());
    let mut grouped = String::new();
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index < digits && (digits - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(character);
    }
    grouped
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_set_apart_by_thousands() {
        let texts = [0.0, 0.256, 1.25, 12.5, 999.6, 12_345.0, 1_234_567.0].map(number);
        let expected = ["0.00", "0.26", "1.2", "12", "1,000", "12,345", "1,234,567"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn the_longest_bar_ends_inside_and_names_are_escaped() {
        let bar = Bar {
            colour: 1,
            value: 1234.0,
            label: "1,234".to_owned(),
        };
        let chart = Chart {
            title: "a < b & c",
            axis: "us",
            legend: &[(1, "ours")],
            marks: &[],
            groups: vec![("x".to_owned(), vec![bar])],
            note: "",
        };
        assert!(chart.end() >= 1234.0 && chart.end() <= 2468.0);
        let svg = chart.draw();
        assert!(svg.contains("a &lt; b &amp; c"));
        let ticks = [0.0, 400.0, 1600.0].map(|value| chart.tick(value));
        assert_eq!(ticks, ["0", "400", "1,600"]);
        assert!(svg.ends_with("</svg>\n"));
    }
}
