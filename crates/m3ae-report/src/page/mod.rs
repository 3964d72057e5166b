//! A self-contained HTML page.

mod picture;
mod table;

use std::path::Path;

pub use picture::{GalleryItem, Png};
pub use table::{Align, Cell, Span, Style, Table};

use crate::error::ReportError;
use crate::format::escape;
use crate::svg::{CHART_CSS, Svg};

const PAGE_CSS: &str = include_str!("page.css");

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
    html: String,
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
        self.sections.push(Section { title: title.into(), html: String::new() });
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }

    /// The page as text.
    #[must_use]
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        // No address but data: ones can be loaded, whatever a text in the page might contain.
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{PAGE_CSS}{CHART_CSS}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
        );
        for notice in &self.notices {
            html += &format!("<p class=\"notice\">{}</p>\n", escape(notice));
        }
        if !self.summary.is_empty() {
            let lines: Vec<String> = self.summary.iter().map(|line| escape(line)).collect();
            html += &format!("<p class=\"summary\">{}</p>\n", lines.join("<br>\n"));
        }
        if self.sections.len() >= SECTIONS_TO_LIST {
            let link = |(i, section): (usize, &Section)| format!("<a href=\"#s{i}\">{}</a>", escape(&section.title));
            let links: Vec<String> = self.sections.iter().enumerate().map(link).collect();
            html += &format!("<nav>{}</nav>\n", links.join("\n"));
        }
        html += "</header>\n<main>\n";
        for (i, section) in self.sections.iter().enumerate() {
            html +=
                &format!("<section id=\"s{i}\">\n<h2>{}</h2>\n{}</section>\n", escape(&section.title), section.html);
        }
        html + "</main>\n</body>\n</html>\n"
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
        self.html += &format!("<p>{}</p>\n", escape(text.as_ref()));
        self
    }

    /// Adds charts, side by side where there is room.
    pub fn figures(&mut self, figures: impl IntoIterator<Item = Svg>) -> &mut Self {
        self.html += "<div class=\"figures\">\n";
        for figure in figures {
            self.html += &format!("<figure>{}</figure>\n", figure.element());
        }
        self.html += "</div>\n";
        self
    }

    /// Adds a table.
    pub fn table(&mut self, table: &Table) -> &mut Self {
        self.html += &table.html();
        self
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
        let items: String = items.iter().map(GalleryItem::html).collect();
        self.html += &format!("<div class=\"{class}\">\n{items}</div>\n");
        self
    }

    /// Adds text that stays as it is, such as a configuration.
    pub fn preformatted(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.html += &format!("<pre>{}</pre>\n", escape(text.as_ref()));
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
