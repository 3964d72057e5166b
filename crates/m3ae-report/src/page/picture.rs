//! Pictures inside a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::table::{Cell, cell_html};
use crate::error::ReportError;
use crate::format::escape;

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

    fn html(&self) -> String {
        // The header chunk comes first and begins with width and height: browsers keep the room free.
        let side = |at: usize| {
            let bytes = self.bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_be_bytes)
        };
        let size = match (side(16), side(20)) {
            (Some(width), Some(height)) => format!(" width=\"{width}\" height=\"{height}\""),
            _ => String::new(),
        };
        let description = escape(&self.description);
        format!("<img alt=\"{description}\"{size} src=\"data:image/png;base64,{}\">", STANDARD.encode(&self.bytes))
    }
}

impl GalleryItem {
    pub(super) fn html(&self) -> String {
        let pictures: String = self.pictures.iter().map(Png::html).collect();
        let lines: Vec<String> = self.lines.iter().map(cell_html).collect();
        format!(
            "<figure><div class=\"pictures\">{pictures}</div><figcaption>{}</figcaption></figure>\n",
            lines.join("<br>")
        )
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
        let html = item.html();
        // The signature's first six bytes are iVBORw0K in base64.
        assert!(
            html.contains("alt=\"a &quot;b&quot;\" width=\"5\" height=\"256\" src=\"data:image/png;base64,iVBORw0K"),
            "{html}"
        );
        assert!(html.contains("&lt;line&gt;"));
        // A cut header has no size, and is still shown.
        assert!(!Png::new(SIGNATURE.to_vec(), "x").unwrap().html().contains("width"));
    }
}
