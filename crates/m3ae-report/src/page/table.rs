//! Tables.

use maud::{Markup, Render, html};

use crate::format::shown;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Texts.
    Left,
    /// Numbers, with digits of one width.
    Right,
}

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As text does.
    Plain,
    /// Bold.
    Strong,
    /// Paler.
    Faint,
    /// Something right. Colour alone tells not everyone: the text should say so too.
    Good,
    /// Something wrong.
    Bad,
}

/// A piece of text of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    text: String,
    style: Style,
}

impl Span {
    /// `text` in `style`.
    #[must_use]
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

/// What stands in one place of a table, or on one line of a caption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    spans: Vec<Span>,
}

impl Cell {
    /// Text in pieces of different looks.
    #[must_use]
    pub fn of(spans: impl IntoIterator<Item = Span>) -> Self {
        Self { spans: spans.into_iter().collect() }
    }

    /// Bold text.
    #[must_use]
    pub fn strong(text: impl Into<String>) -> Self {
        Self::of([Span::new(text, Style::Strong)])
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::of([Span::new(text, Style::Plain)])
    }
}

/// A table with a heading for each column.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        Self { columns: columns.into_iter().map(|(name, align)| (name.to_owned(), align)).collect(), rows: Vec::new() }
    }

    /// Adds a row. What is missing stays empty, and what is beyond the last column is left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) -> &mut Self {
        self.rows.push(cells.into_iter().take(self.columns.len()).collect());
        self
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        let class = |align: Align| (align == Align::Right).then_some("number");
        html! {
            div.table {
                table {
                    thead {
                        tr {
                            @for (name, align) in &self.columns {
                                th scope="col" class=[class(*align)] { (shown(name)) }
                            }
                        }
                    }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (i, (_, align)) in self.columns.iter().enumerate() {
                                    td class=[class(*align)] { @if let Some(cell) = row.get(i) { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Render for Cell {
    fn render(&self) -> Markup {
        html! {
            @for Span { text, style } in &self.spans {
                @match style {
                    Style::Plain => { (shown(text)) },
                    Style::Strong => strong { (shown(text)) },
                    Style::Faint => span.faint { (shown(text)) },
                    Style::Good => span.good { (shown(text)) },
                    Style::Bad => span.bad { (shown(text)) },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_every_column() {
        let mut table = Table::new([("name", Align::Left), ("<n>", Align::Right)]);
        table.row(["<a>".into()]).row(["b".into(), Cell::strong("2"), "beyond".into()]);
        let html = table.render().into_string();
        assert_eq!((html.matches("<td").count(), html.matches("class=\"number\"").count()), (4, 3));
        assert!(html.contains("<td>&lt;a&gt;</td>") && html.contains("<strong>2</strong>") && !html.contains("beyond"));
    }
}
