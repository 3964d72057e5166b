//! A self-contained HTML page.

mod picture;
mod table;

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use picture::{GalleryItem, Png};
pub use table::{Align, Cell, Span, Style, Table};

use crate::error::ReportError;
use crate::format::shown;
use crate::svg::{CHART_CSS, Svg};

const PAGE_CSS: &str = include_str!("page/page.css");

/// A page from this many sections on has a list of them.
const SECTIONS_TO_LIST: usize = 4;

/// One HTML file with everything in it.
#[derive(Clone, Debug, Default)]
pub struct Page {
    title: String,
    notices: Vec<String>,
    summary: Vec<String>,
    sections: Vec<Section>,
}

/// A part of a page, under a heading.
#[derive(Clone, Debug, Default)]
pub struct Section {
    title: String,
    parts: Vec<Markup>,
}

impl Page {
    /// A page without content.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Adds a line that must not be overlooked: notices stand first, in a frame.
    pub fn notice(&mut self, text: impl Into<String>) -> &mut Self {
        self.notices.push(text.into());
        self
    }

    /// Adds a line to the summary under the title.
    pub fn summary(&mut self, text: impl Into<String>) -> &mut Self {
        self.summary.push(text.into());
        self
    }

    /// Begins a section; what is added to it comes in that order.
    pub fn section(&mut self, title: impl Into<String>) -> &mut Section {
        self.sections.push(Section { title: title.into(), parts: Vec::new() });
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }

    /// The page as text.
    #[must_use]
    pub fn html(&self) -> String {
        let title = shown(&self.title);
        // Styles and charts are ours: all that comes from outside is escaped by `html!`.
        let styles = PreEscaped([PAGE_CSS, CHART_CSS].concat());
        // No address but data: ones can be loaded, whatever a text in the page might contain.
        let policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    title { (title) }
                    style { (styles) }
                }
                body {
                    header {
                        h1 { (title) }
                        @for notice in &self.notices {
                            p.notice { (shown(notice)) }
                        }
                        @if !self.summary.is_empty() {
                            p.summary {
                                @for (i, line) in self.summary.iter().enumerate() {
                                    @if i > 0 { br; }
                                    (shown(line))
                                }
                            }
                        }
                        @if self.sections.len() >= SECTIONS_TO_LIST {
                            nav {
                                @for (i, section) in self.sections.iter().enumerate() {
                                    a href={ "#s" (i) } { (shown(&section.title)) } " "
                                }
                            }
                        }
                    }
                    main {
                        @for (i, section) in self.sections.iter().enumerate() {
                            section id={ "s" (i) } {
                                h2 { (shown(&section.title)) }
                                @for part in &section.parts { (part) }
                            }
                        }
                    }
                }
            }
        };
        page.into_string()
    }

    /// Writes the page, whole or not at all.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        m3ae_files::write(path, self.html().as_bytes())?;
        Ok(())
    }
}

impl Section {
    /// Adds a paragraph.
    pub fn text(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.add(html! { p { (shown(text.as_ref())) } })
    }

    /// Adds charts, side by side where there is room.
    pub fn figures(&mut self, figures: impl IntoIterator<Item = Svg>) -> &mut Self {
        self.add(html! {
            div.figures {
                @for figure in figures {
                    figure { (PreEscaped(figure.element())) }
                }
            }
        })
    }

    /// Adds a table.
    pub fn table(&mut self, table: &Table) -> &mut Self {
        self.add(html! { (table) })
    }

    /// Adds pictures with captions, side by side where there is room.
    pub fn gallery(&mut self, items: &[GalleryItem]) -> &mut Self {
        self.pictures("gallery", items)
    }

    /// The same for broad pictures: two to a row at most.
    pub fn broad_gallery(&mut self, items: &[GalleryItem]) -> &mut Self {
        self.pictures("gallery broad", items)
    }

    fn pictures(&mut self, class: &str, items: &[GalleryItem]) -> &mut Self {
        self.add(html! {
            div class=(class) {
                @for item in items { (item) }
            }
        })
    }

    /// Adds text that stays as it is, such as a configuration.
    pub fn preformatted(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.add(html! { pre { (shown(text.as_ref())) } })
    }

    fn add(&mut self, part: Markup) -> &mut Self {
        self.parts.push(part);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LineChart, Series};

    fn page() -> Page {
        let mut page = Page::new("A <page> & more");
        page.notice("validation equals test").summary("one").summary("<two>");
        page.section("Charts <1>")
            .text("<i>text</i>")
            .figures([LineChart::new("loss").series(Series::new("a", vec![(0.0, 1.0)])).draw()]);
        page.section("Config").preformatted("[run]\nname = \"<x>\"");
        page
    }

    #[test]
    fn texts_are_never_markup() {
        let html = page().html();
        for bad in ["<page>", "<two>", "<1>", "<i>", "<x>"] {
            assert!(!html.contains(bad), "{bad}");
        }
        assert!(html.contains("name = &quot;&lt;x&gt;&quot;"));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let html = page().html();
        assert!(html.contains("default-src 'none'"));
        for outside in ["http://", "https://", "url(", "@import", "<script", "<link"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }

    #[test]
    fn notices_stand_before_the_summary_and_tags_are_closed() {
        let html = page().html();
        assert!(html.find("validation equals test").unwrap() < html.find("one<br>").unwrap());
        for tag in ["section", "figure", "div", "svg", "pre", "main", "header", "p", "h2"] {
            let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn many_sections_are_listed() {
        let mut page = page();
        assert!(!page.html().contains("<nav>"));
        page.section("Third");
        page.section("Fourth & last");
        assert!(page.html().contains("<a href=\"#s3\">Fourth &amp; last</a>"));
    }
}
