//! A contact sheet: pictures of a prepared file with their texts under them.

use ::image::{GrayImage, Luma, Rgb, RgbImage, RgbaImage, imageops};
use font8x8::legacy::{BASIC_LEGACY, GREEK_LEGACY, LATIN_LEGACY};
use m3ae_data::{
    DataError,
    arrow::{ArrowFile, Kind, LABEL_COLUMNS},
};
use m3ae_image::{DecodeOptions, decode_bytes};

/// A letter's width and height, in pixels.
const LETTER: u32 = 8;
/// From line to line.
const LINE: u32 = 10;
const MARGIN: u32 = 8;
const BACKGROUND: Rgb<u8> = Rgb([24, 24, 28]);
/// Captions and questions.
const INK: Rgb<u8> = Rgb([230, 230, 230]);
/// Answers and classes.
const ANSWER: Rgb<u8> = Rgb([255, 205, 90]);
/// Row and name, and what was left out.
const FAINT: Rgb<u8> = Rgb([130, 170, 210]);
/// What is wrong.
const ALARM: Rgb<u8> = Rgb([255, 110, 100]);
/// Between pictures.
const RULE: Rgb<u8> = Rgb([60, 60, 68]);

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
        Self { pictures: 20, columns: 5, side: 256, lines: 12 }
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
    let letters = (options.side / LETTER) as usize;
    for place in 0..count {
        let row = place * file.len() / count;
        let (left, top) = (place as u32 % columns * width, place as u32 / columns * height);
        for across in left..left + width {
            sheet.put_pixel(across, top, RULE);
        }
        let (x, y) = (left + MARGIN, top + MARGIN);
        let mut text = vec![vec![(format!("[{row}] {}", file.image_id(row)?), FAINT)]];
        match picture(file.image(row)?, options.side) {
            Ok(picture) => imageops::replace(&mut sheet, &picture, x.into(), y.into()),
            Err(problem) => {
                let grey = RgbImage::from_pixel(options.side, options.side, Rgb([90; 3]));
                imageops::replace(&mut sheet, &grey, x.into(), y.into());
                text.push(vec![(format!("CANNOT BE DECODED: {problem}"), ALARM)]);
            }
        }
        text.extend(texts(file, row)?);
        let lines = fit(&text, letters, options.lines as usize);
        for (line, letters) in (0..).zip(lines) {
            write(&mut sheet, x, y + options.side + MARGIN + line * LINE, &letters);
        }
    }
    Ok(sheet)
}

/// A paragraph: pieces of text, each in its colour.
type Paragraph = Vec<(String, Rgb<u8>)>;

/// What stands under a picture.
fn texts(file: &ArrowFile, row: usize) -> Result<Vec<Paragraph>, DataError> {
    Ok(match file.kind() {
        Kind::Questions => {
            let row = file.questions(row)?;
            let asked = row.questions.iter().zip(&row.answers);
            asked.map(|(q, a)| vec![((*q).to_owned(), INK), (a.join(" | "), ANSWER)]).collect()
        }
        Kind::Captions => file.captions(row)?.captions.iter().map(|text| vec![((*text).to_owned(), INK)]).collect(),
        Kind::Classes => {
            let (row, names) = (file.classes(row)?, file.label_names()?.unwrap_or_default());
            let class = |column: &str, label: i64| {
                let name = usize::try_from(label).ok().and_then(|label| names.get(column)?.get(label));
                name.cloned().unwrap_or_else(|| label.to_string())
            };
            let classes = |caption: usize| {
                let of = LABEL_COLUMNS.iter().zip(&row.labels);
                of.map(|(column, labels)| class(column, labels[caption])).collect::<Vec<_>>().join(" | ")
            };
            let captions = row.captions.iter().enumerate();
            captions.map(|(i, caption)| vec![((*caption).to_owned(), INK), (classes(i), ANSWER)]).collect()
        }
    })
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

/// Letters, each in its colour.
type Line = Vec<(char, Rgb<u8>)>;

/// The lines of some paragraphs, as many as there is room for; where there are more, the last says so.
fn fit(text: &[Paragraph], letters: usize, room: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for (number, paragraph) in text.iter().enumerate() {
        lines.extend(wrap(paragraph, letters));
        if lines.len() > room {
            lines.truncate(room.saturating_sub(1));
            let left = text.len() - number - 1;
            let rest = if left == 0 { "...".to_owned() } else { format!("... and {left} more") };
            lines.extend((room > 0).then(|| rest.chars().map(|letter| (letter, FAINT)).collect()));
            break;
        }
    }
    lines
}

/// A paragraph's lines of at most so many letters, broken between words where that is possible.
fn wrap(paragraph: &Paragraph, letters: usize) -> Vec<Line> {
    let (mut lines, mut line) = (Vec::new(), Line::new());
    for (text, ink) in paragraph {
        for word in text.split_whitespace() {
            let mut word: Line = word.chars().flat_map(plain).map(|letter| (letter, *ink)).collect();
            if !line.is_empty() && line.len() + 1 + word.len() > letters {
                lines.push(std::mem::take(&mut line));
            }
            while word.len() > letters {
                lines.push(word.drain(..letters).collect());
            }
            if !line.is_empty() {
                line.push((' ', *ink));
            }
            line.append(&mut word);
        }
    }
    lines.push(line);
    lines
}

/// What stands for a letter that the font has not: marks of typography as a typewriter has them.
fn plain(letter: char) -> impl Iterator<Item = char> {
    let plain = match letter {
        '\u{2018}' | '\u{2019}' | '\u{2032}' => "'",
        '\u{201C}' | '\u{201D}' | '\u{2033}' => "\"",
        '\u{2010}'..='\u{2014}' | '\u{2212}' => "-",
        '\u{2026}' => "...",
        '\u{2264}' => "<=",
        '\u{2265}' => ">=",
        _ => "",
    };
    plain.chars().chain(plain.is_empty().then_some(letter))
}

/// A letter's picture, a byte per row; a box where the font has none.
fn glyph(letter: char) -> [u8; LETTER as usize] {
    let code = letter as usize;
    let from = |first: usize, glyphs: &[[u8; LETTER as usize]]| glyphs.get(code.checked_sub(first)?).copied();
    let found = from(0, &BASIC_LEGACY).or_else(|| from(0xA0, &LATIN_LEGACY)).or_else(|| from(0x390, &GREEK_LEGACY));
    found.unwrap_or([0x00, 0x7E, 0x42, 0x42, 0x42, 0x42, 0x7E, 0x00])
}

/// Writes a line.
fn write(sheet: &mut RgbImage, x: u32, y: u32, line: &[(char, Rgb<u8>)]) {
    for (place, (letter, ink)) in (0..).zip(line) {
        let glyph = glyph(*letter);
        let glyph = GrayImage::from_fn(LETTER, LETTER, |x, y| Luma([(glyph[y as usize] >> x & 1) * 255]));
        for (dx, dy, pixel) in glyph.enumerate_pixels() {
            let (x, y) = (x + place * LETTER + dx, y + dy);
            if pixel.0[0] > 0 && x < sheet.width() && y < sheet.height() {
                sheet.put_pixel(x, y, *ink);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Cursor};

    use m3ae_data::arrow::{ArrowWriter, Row, RowData};

    use super::*;

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
        // Text lies under the picture: the name, then the caption or what is wrong.
        let has =
            |line: u32, x: u32, ink| (x..x + 64).any(|x| *sheet.get_pixel(x, 8 + 64 + 8 + line * LINE + 3) == ink);
        assert!(has(0, 8, FAINT) && has(1, 8, INK) && has(1, 88, ALARM));
    }

    fn paragraph(pieces: &[(&str, Rgb<u8>)]) -> Paragraph {
        pieces.iter().map(|(text, ink)| ((*text).to_owned(), *ink)).collect()
    }

    fn read(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| line.iter().map(|(letter, _)| letter).collect()).collect()
    }

    #[test]
    fn lines_break_between_words_and_long_words_within() {
        let lines = wrap(&paragraph(&[("one two three\nfourteen", INK), ("n\u{2019}t", ANSWER)]), 7);
        assert_eq!(read(&lines), ["one two", "three", "fourtee", "n n't"]);
        assert_eq!((lines[3][0].1, lines[3][2].1), (INK, ANSWER));
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let text = ["one two three", "four", "five"].map(|text| paragraph(&[(text, INK)]));
        assert_eq!(read(&fit(&text, 7, 4)), ["one two", "three", "four", "five"]);
        assert_eq!(read(&fit(&text, 7, 3)), ["one two", "three", "..."]);
        assert_eq!(read(&fit(&text[..2], 7, 2)), ["one two", "..."]);
        assert_eq!(read(&fit(&text, 7, 1)), ["... and 2 more"]);
        assert!(fit(&text, 7, 0).is_empty());
    }

    #[test]
    fn letters_beyond_ascii_have_pictures() {
        let unknown = glyph('\u{4E2D}');
        assert!(['a', '\u{E9}', '\u{B0}', '\u{3B1}'].iter().all(|letter| glyph(*letter) != unknown));
    }
}
