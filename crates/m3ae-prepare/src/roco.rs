//! ROCO's layout: a text file of captions beside a folder of images.
//!
//! ```text
//! <root>/<split>/radiology/captions.txt    one `id<TAB>caption` per line, UTF-8
//!                         /images/<id>.jpg  (or .jpeg, .png)
//! ```

use std::{collections::HashMap, ffi::OsStr, fs, path::Path};

use m3ae_data::{CaptionSample, CaptionSet, SkipReason, Skipped, collapse_whitespace};

use crate::{PrepareError, listing::Listing};

/// Shorter captions say nothing about their image.
const MIN_WORDS: usize = 3;
/// Characters of a useless line that its report shows.
const EXCERPT: usize = 60;
/// What an image's file may be called after its id, in upper or lower case; the first that exists is used.
const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Reads a split of a data set in ROCO's layout. Whether an image can be decoded shows when it is loaded; here it only
/// has to exist.
///
/// # Errors
/// When the captions file or the folder of images is missing or unreadable. What is wrong with single lines is in
/// [`CaptionSet::skipped`].
pub fn read_roco(root: &Path, split: &str) -> Result<CaptionSet, PrepareError> {
    let folder = root.join(split).join("radiology");
    let (captions, images) = (folder.join("captions.txt"), folder.join("images"));
    for (path, exists) in [(root, root.is_dir()), (&captions, captions.is_file()), (&images, images.is_dir())] {
        if !exists {
            let expected = format!("ROCO's layout, {0}/{split}/radiology/{{captions.txt,images/}}", root.display());
            return Err(PrepareError::Missing { path: path.to_owned(), expected });
        }
    }
    let bytes = fs::read(&captions).map_err(PrepareError::read(&captions))?;
    let names = Listing::read(&images).map_err(PrepareError::read(&images))?;

    let lines = parse_captions(&bytes);
    let mut set = CaptionSet {
        name: "roco".to_owned(),
        split: split.to_owned(),
        samples: Vec::with_capacity(lines.len()),
        skipped: Vec::new(),
        lines_read: lines.len(),
    };
    let mut skip = |line, key: &str, reason| {
        set.skipped.push(Skipped { file: captions.clone(), line, key: key.to_owned(), reason });
    };
    if lines.is_empty() {
        skip(None, "", SkipReason::EmptyFile);
    }
    let mut first_line: HashMap<(String, String), usize> = HashMap::new();
    let mut per_image: HashMap<String, usize> = HashMap::new();
    for (line, parsed) in (1..).zip(lines) {
        let CaptionLine { id, caption } = match parsed {
            Ok(parsed) => parsed,
            Err(UnusableLine { key, reason }) => {
                skip(Some(line), &key, reason);
                continue;
            }
        };
        let mut candidates = EXTENSIONS.iter().map(|extension| format!("{id}.{extension}"));
        let Some(name) = candidates.find_map(|name| names.find(OsStr::new(&name))) else {
            let expected = format!("{}/{id}.{{{}}}", images.display(), EXTENSIONS.join(","));
            skip(Some(line), &id, SkipReason::MissingImage { expected });
            continue;
        };
        if let Some(&first) = first_line.get(&(id.clone(), caption.clone())) {
            skip(Some(line), &id, SkipReason::Duplicate { first });
            continue;
        }
        first_line.insert((id.clone(), caption.clone()), line);
        let number = per_image.entry(id.clone()).or_default();
        set.samples.push(CaptionSample { id: format!("{id}#{number}"), image: images.join(name), caption });
        *number += 1;
    }
    Ok(set)
}

/// A usable line of a captions file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionLine {
    /// The image's id: a plain file name without its extension.
    pub id: String,
    /// The caption, its whitespace collapsed; at least three words.
    pub caption: String,
}

/// A line of a captions file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableLine {
    /// The id as far as it is known, cut to 60 characters.
    pub key: String,
    /// What is wrong.
    pub reason: SkipReason,
}

/// The lines of a `captions.txt`, in order; the first is line 1. Any bytes are accepted: what is wrong with a line is
/// said in its place.
#[must_use]
pub fn parse_captions(bytes: &[u8]) -> Vec<Result<CaptionLine, UnusableLine>> {
    lines(bytes).into_iter().map(parse).collect()
}

/// A file's lines, ended by `\n` or `\r\n`; the last need not be. A byte order mark is no text.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect()
}

/// A line's id and caption.
fn parse(line: &[u8]) -> Result<CaptionLine, UnusableLine> {
    let unusable = |key: &str, reason| UnusableLine { key: key.chars().take(EXCERPT).collect(), reason };
    let Ok(text) = std::str::from_utf8(line) else {
        // The id may well be readable, and helps to find the line.
        let key = line.split(|&byte| byte == b'\t').next().unwrap_or_default();
        return Err(unusable(&String::from_utf8_lossy(key), SkipReason::NotUtf8));
    };
    let (id, caption) = text.split_once('\t').ok_or_else(|| unusable(text, SkipReason::NoTab))?;
    let id = id.trim();
    // An id names a file inside the folder of images, and nothing else.
    if id.is_empty() || id.contains(['/', '\\', '\0']) {
        return Err(unusable(id, SkipReason::BadId));
    }
    let caption = collapse_whitespace(caption);
    match caption.split(' ').filter(|word| !word.is_empty()).count() {
        words if words < MIN_WORDS => Err(unusable(id, SkipReason::TooFewWords { words, minimum: MIN_WORDS })),
        _ => Ok(CaptionLine { id: id.to_owned(), caption }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A train split with these captions and (empty) image files.
    fn split(captions: &[u8], images: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("train/radiology");
        fs::create_dir_all(folder.join("images")).unwrap();
        fs::write(folder.join("captions.txt"), captions).unwrap();
        images.iter().for_each(|name| fs::write(folder.join("images").join(name), b"").unwrap());
        root
    }

    fn read(captions: &[u8], images: &[&str]) -> CaptionSet {
        let root = split(captions, images);
        read_roco(root.path(), "train").unwrap()
    }

    fn samples(set: &CaptionSet) -> Vec<(&str, &str, &str)> {
        let name = |path: &'_ Path| path.file_name().unwrap().to_str().unwrap().to_owned().leak() as &str;
        set.samples.iter().map(|s| (s.id.as_str(), name(&s.image), s.caption.as_str())).collect()
    }

    fn reasons(set: &CaptionSet) -> Vec<(Option<usize>, &str, SkipReason)> {
        set.skipped.iter().map(|s| (s.line, s.key.as_str(), s.reason.clone())).collect()
    }

    #[test]
    fn several_captions_of_an_image_are_several_samples() {
        let set = read(b"a\tfirst of a\nb\tonly of b\na\tsecond of a\n", &["a.jpg", "b.png", "a.png"]);
        assert_eq!(
            samples(&set),
            [("a#0", "a.jpg", "first of a"), ("b#0", "b.png", "only of b"), ("a#1", "a.jpg", "second of a")]
        );
        assert_eq!((set.name.as_str(), set.split.as_str(), set.lines_read), ("roco", "train", 3));
        assert!(set.skipped.is_empty());
    }

    #[test]
    fn whitespace_of_every_kind_collapses() {
        let set = read(
            "a\t Chest\u{A0}X-ray \t of\u{2003}the\u{1F}patient  \r\nb\tno final newline".as_bytes(),
            &["a.jpg", "b.jpg"],
        );
        assert_eq!(
            samples(&set),
            [("a#0", "a.jpg", "Chest X-ray of the patient"), ("b#0", "b.jpg", "no final newline")]
        );
    }

    #[test]
    fn every_line_is_a_sample_or_skipped_with_its_reason() {
        let captions = b"\xEF\xBB\xBFa\tone two three\n\
            a\ttwo words\n\
            no tab at all\n\
            \n\
            a\tbad \xFF\xFE bytes here\n\
            absent\tthree good words\n\
            a\t one two  three\n\
            ../secret\tthree good words\n\
            \tthree good words\n\
            a\t\n";
        let set = read(captions, &["a.jpg"]);
        assert_eq!(samples(&set), [("a#0", "a.jpg", "one two three")]);
        let reasons = reasons(&set);
        assert_eq!(reasons.len() + set.samples.len(), set.lines_read);
        assert!(
            matches!(&reasons[4].2, SkipReason::MissingImage { expected } if expected.ends_with("absent.{jpg,jpeg,png}"))
        );
        let few = |words| SkipReason::TooFewWords { words, minimum: 3 };
        assert_eq!(reasons[0], (Some(2), "a", few(2)));
        assert_eq!(reasons[1], (Some(3), "no tab at all", SkipReason::NoTab));
        assert_eq!(reasons[2], (Some(4), "", SkipReason::NoTab));
        assert_eq!(reasons[3], (Some(5), "a", SkipReason::NotUtf8));
        assert_eq!(reasons[5], (Some(7), "a", SkipReason::Duplicate { first: 1 }));
        assert_eq!(reasons[6], (Some(8), "../secret", SkipReason::BadId));
        assert_eq!(reasons[7], (Some(9), "", SkipReason::BadId));
        assert_eq!(reasons[8], (Some(10), "a", few(0)));
        let message = set.skipped[0].to_string();
        assert!(message.ends_with("captions.txt, line 2 (a): only 2 words, fewer than 3"), "{message}");
    }

    #[test]
    fn an_empty_file_is_reported() {
        let set = read(b"", &[]);
        assert_eq!((set.samples.len(), set.lines_read), (0, 0));
        assert_eq!(reasons(&set), [(None, "", SkipReason::EmptyFile)]);
    }

    #[test]
    fn what_is_missing_is_named_with_the_layout() {
        let root = split(b"a\tone two three\n", &[]);
        let refusal = |root: &Path, split| read_roco(root, split).unwrap_err().to_string();
        let nowhere = root.path().join("nowhere");
        assert!(refusal(&nowhere, "train").starts_with(&format!("{} is missing", nowhere.display())));
        let message = refusal(root.path(), "val");
        assert!(message.contains("val/radiology/captions.txt is missing"), "{message}");
        assert!(message.contains("val/radiology/{captions.txt,images/}"), "{message}");
        fs::remove_dir(root.path().join("train/radiology/images")).unwrap();
        assert!(refusal(root.path(), "train").contains("train/radiology/images is missing"));
    }
}
