//! Pictures inside a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, Render, html};

use super::table::Cell;
use crate::error::ReportError;
use crate::format::shown;

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// A PNG picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Png {
    bytes: Vec<u8>,
    description: String,
}

/// Pictures that belong together, with lines of text under them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GalleryItem {
    /// Pictures, side by side.
    pub pictures: Vec<Png>,
    /// Lines under them.
    pub lines: Vec<Cell>,
}

impl Png {
    /// A picture from a PNG file's bytes. `description` is for readers who cannot see it.
    ///
    /// # Errors
    /// The bytes do not begin as a PNG does.
    pub fn new(bytes: Vec<u8>, description: impl Into<String>) -> Result<Self, ReportError> {
        if !bytes.starts_with(&SIGNATURE) {
            return Err(ReportError::NotPng { begins: bytes.into_iter().take(SIGNATURE.len()).collect() });
        }
        Ok(Self { bytes, description: description.into() })
    }

    /// Width and height in pixels, from the header chunk, which comes first and begins with them.
    fn size(&self) -> Option<(u32, u32)> {
        let side = |at: usize| Some(u32::from_be_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?));
        Some((side(16)?, side(20)?))
    }
}

impl Render for Png {
    fn render(&self) -> Markup {
        // With its size in the page, browsers keep the room free.
        let (width, height) = self.size().unzip();
        let source = format!("data:image/png;base64,{}", STANDARD.encode(&self.bytes));
        html! { img alt=(shown(&self.description)) width=[width] height=[height] src=(source); }
    }
}

impl Render for GalleryItem {
    fn render(&self) -> Markup {
        html! {
            figure {
                div.pictures {
                    @for picture in &self.pictures { (picture) }
                }
                figcaption {
                    @for (i, line) in self.lines.iter().enumerate() {
                        @if i > 0 { br; }
                        (line)
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pngs_are_taken() {
        let error = Png::new(b"<svg onload=1>".to_vec(), "x").unwrap_err();
        assert!(matches!(error, ReportError::NotPng { begins } if begins.len() == 8));
        assert!(Png::new(Vec::new(), "x").is_err());
    }

    #[test]
    fn a_picture_is_inside_the_page_with_its_size() {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend(b"\0\0\0\rIHDR\0\0\0\x05\0\0\x01\0");
        let picture = Png::new(bytes, "a \"b\"").unwrap();
        let item = GalleryItem { pictures: vec![picture], lines: vec!["<line>".into()] };
        let html = item.render().into_string();
        // The signature's first six bytes are iVBORw0K in base64.
        assert!(
            html.contains("alt=\"a &quot;b&quot;\" width=\"5\" height=\"256\" src=\"data:image/png;base64,iVBORw0K"),
            "{html}"
        );
        assert!(html.contains("&lt;line&gt;"));
        // A cut header has no size, and is still shown.
        assert!(!Png::new(SIGNATURE.to_vec(), "x").unwrap().render().into_string().contains("width"));
    }
}
