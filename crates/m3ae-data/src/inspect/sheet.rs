//! A contact sheet: pictures of a prepared file with their texts under them.

use crate::{
    DataError, DecodeOptions,
    arrow::{ArrowFile, Kind},
    decode_bytes,
};
use ::image::{GrayImage, Luma, Rgb, RgbImage, RgbaImage, imageops};
use font8x8::legacy::BASIC_LEGACY;

/// A letter's width and height, in pixels.
const LETTER: u32 = 8;
/// From line to line.
const LINE: u32 = 10;
const MARGIN: u32 = 8;
const BACKGROUND: Rgb<u8> = Rgb([24, 24, 28]);
const INK: Rgb<u8> = Rgb([230, 230, 230]);

/// How a contact sheet looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SheetOptions {
    /// Pictures on the sheet: evenly spaced rows of the file.
    pub pictures: usize,
    /// Pictures beside each other.
    pub columns: usize,
    /// A picture's longer side, in pixels.
    pub side: u32,
    /// Lines of text under each.
    pub lines: u32,
}

impl Default for SheetOptions {
    fn default() -> Self {
        Self { pictures: 20, columns: 5, side: 256, lines: 9 }
    }
}

impl SheetOptions {
    /// A sheet larger than this helps nobody.
    fn bounded(self) -> Self {
        Self {
            pictures: self.pictures.clamp(1, 400),
            columns: self.columns.clamp(1, 20),
            side: self.side.clamp(64, 512),
            lines: self.lines.min(40),
        }
    }
}

/// Draws a file's contact sheet. An image that cannot be decoded leaves its place grey and says why.
///
/// # Errors
/// When a row of the file is damaged.
pub fn contact_sheet(file: &ArrowFile, options: &SheetOptions) -> Result<RgbImage, DataError> {
    let options = options.bounded();
    let count = options.pictures.min(file.len());
    let columns = options.columns.min(count.max(1)) as u32;
    let (width, height) = (options.side + 2 * MARGIN, options.side + options.lines * LINE + 3 * MARGIN);
    let rows = (count as u32).div_ceil(columns).max(1);
    let mut sheet = RgbImage::from_pixel(columns * width, rows * height, BACKGROUND);
    for place in 0..count {
        let row = place * file.len() / count;
        let (x, y) = ((place as u32 % columns) * width + MARGIN, (place as u32 / columns) * height + MARGIN);
        let mut text = text(file, row)?;
        match picture(file.image(row)?, options.side) {
            Ok(picture) => imageops::replace(&mut sheet, &picture, x.into(), y.into()),
            Err(problem) => {
                let grey = RgbImage::from_pixel(options.side, options.side, Rgb([90; 3]));
                imageops::replace(&mut sheet, &grey, x.into(), y.into());
                text = format!("CANNOT BE DECODED: {problem}\n{text}");
            }
        }
        let letters = (options.side / LETTER) as usize;
        for (line, text) in (0..options.lines).zip(wrap(&text, letters)) {
            write(&mut sheet, x, y + options.side + MARGIN + line * LINE, &text);
        }
    }
    Ok(sheet)
}

/// What stands under a picture.
fn text(file: &ArrowFile, row: usize) -> Result<String, DataError> {
    let id = file.image_id(row)?;
    let lines: Vec<String> = match file.kind() {
        Kind::Questions => {
            let row = file.questions(row)?;
            row.questions.iter().zip(&row.answers).map(|(q, a)| format!("{q} - {}", a.join(" | "))).collect()
        }
        Kind::Captions | Kind::Classes => file.captions(row)?.captions.into_iter().map(str::to_owned).collect(),
    };
    Ok(format!("[{row}] {id}\n{}", lines.join("\n")))
}

/// An image, made to fit.
fn picture(bytes: &[u8], side: u32) -> Result<RgbImage, String> {
    let image = decode_bytes(bytes, &DecodeOptions::default()).map_err(|error| error.to_string())?;
    let size = |value: usize| u32::try_from(value).map_err(|error| error.to_string());
    let (width, height) = (size(image.width())?, size(image.height())?);
    let rgba = RgbaImage::from_raw(width, height, image.to_rgba()).ok_or("a size that contradicts itself")?;
    let scale = f64::from(side) / f64::from(width.max(height).max(1));
    let fit = |value: u32| ((f64::from(value) * scale).round() as u32).clamp(1, side);
    Ok(::image::DynamicImage::ImageRgba8(imageops::thumbnail(&rgba, fit(width), fit(height))).to_rgb8())
}

/// Lines of at most so many letters, broken between words where that is possible.
fn wrap(text: &str, letters: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line: Vec<char> = Vec::new();
        for word in paragraph.split_whitespace() {
            let mut word: Vec<char> = word.chars().collect();
            if !line.is_empty() && line.len() + 1 + word.len() > letters {
                lines.push(line.drain(..).collect());
            }
            while word.len() > letters {
                lines.push(word.drain(..letters).collect());
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.append(&mut word);
        }
        lines.push(line.into_iter().collect());
    }
    lines
}

/// Writes a line. What is not ASCII is shown as a box.
fn write(sheet: &mut RgbImage, x: u32, y: u32, text: &str) {
    for (place, letter) in (0..).zip(text.chars()) {
        let glyph =
            BASIC_LEGACY.get(letter as usize).copied().unwrap_or([0x00, 0x7E, 0x42, 0x42, 0x42, 0x42, 0x7E, 0x00]);
        let glyph = GrayImage::from_fn(LETTER, LETTER, |x, y| Luma([(glyph[y as usize] >> x & 1) * 255]));
        for (dx, dy, pixel) in glyph.enumerate_pixels() {
            let (x, y) = (x + place * LETTER + dx, y + dy);
            if pixel.0[0] > 0 && x < sheet.width() && y < sheet.height() {
                sheet.put_pixel(x, y, INK);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::{ArrowWriter, Row, RowData};
    use std::{collections::BTreeMap, io::Cursor};

    #[test]
    fn pictures_fill_their_places_and_unreadable_ones_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a_train.arrow");
        let mut writer = ArrowWriter::create(&path, Kind::Captions, "train", &BTreeMap::new()).unwrap();
        let mut png = Vec::new();
        RgbImage::from_pixel(20, 10, Rgb([200, 0, 0]))
            .write_to(&mut Cursor::new(&mut png), ::image::ImageFormat::Png)
            .unwrap();
        for image in [png.as_slice(), b"no image"] {
            let data = RowData::Captions(vec!["a caption: \u{4E2D}".to_owned()]);
            writer.push(&Row { image_id: "name".to_owned(), data }, image).unwrap();
        }
        writer.finish().unwrap();
        let options = SheetOptions { pictures: 9, columns: 2, side: 64, lines: 4 };
        let sheet = contact_sheet(&ArrowFile::open(&path).unwrap(), &options).unwrap();
        assert_eq!(sheet.dimensions(), (2 * 80, 64 + 40 + 24));
        assert_eq!(*sheet.get_pixel(8 + 60, 8 + 30), Rgb([200, 0, 0]));
        assert_eq!(*sheet.get_pixel(8 + 60, 8 + 40), BACKGROUND);
        assert_eq!(*sheet.get_pixel(80 + 8 + 60, 8 + 40), Rgb([90; 3]));
        // Text lies under the picture.
        assert!((8..72).any(|x| *sheet.get_pixel(x, 8 + 64 + 8 + 3) == INK));
    }

    #[test]
    fn lines_break_between_words_and_long_words_within() {
        assert_eq!(wrap("one two three\nfourteen", 7), ["one two", "three", "fourtee", "n"]);
    }
}
