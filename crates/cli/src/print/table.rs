//! Columns without borders, as `kubectl get` prints them, with styles that do not count as width.

use std::fmt::Write as _;

use anstyle::Style;

/// Space between columns.
const GAP: usize = 2;

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in this style.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

/// Rows of cells; every row has as many cells as the head.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these column names.
    pub(crate) fn new(head: &[&str]) -> Self {
        let name = |name: &&str| Cell::styled(*name, Style::new().bold());
        Self { rows: vec![head.iter().map(name).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, one line a row.
    pub(crate) fn render(&self) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let last = row.len().saturating_sub(1);
            for (column, cell) in row.iter().enumerate() {
                let Cell { text: content, style } = cell;
                let _ = write!(text, "{style}{content}{style:#}");
                if column < last {
                    let pad = widths[column] + GAP - content.chars().count();
                    text.extend(std::iter::repeat_n(' ', pad));
                }
            }
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |row: &Vec<Cell>, column| row.get(column).map_or(0, |cell: &Cell| cell.text.chars().count());
        (0..columns).map(|column| self.rows.iter().map(|row| width(row, column)).max().unwrap_or(0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_style() {
        let mut table = Table::new(&["NAME", "ROLE"]);
        table.row(["cart-0".into(), "master".into()]);
        table.row([Cell::styled("c", Style::new().bold()), "replica".into()]);
        let plain = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(plain, "NAME    ROLE\ncart-0  master\nc       replica\n");
    }
}
