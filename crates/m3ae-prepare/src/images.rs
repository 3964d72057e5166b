//! Image files: which are there, and what is in them.

use std::{collections::HashMap, fs, path::PathBuf};

use m3ae_image::{DecodeOptions, decode_bytes};
use sha2::{Digest, Sha256};

use crate::listing::Listing;
use crate::{Dropped, Plan, PlannedRow, PrepareError, PrepareOptions, SplitPlan, error::check_broken};

/// Larger image files are refused.
pub(crate) const MAX_BYTES: u64 = 256 << 20;

/// An image's content, short.
pub(crate) type ContentHash = [u8; 16];

/// Points each row at the file that is there, where its name differs from the annotations' in upper and lower case
/// only.
pub(crate) fn find(rows: &mut [PlannedRow]) {
    let mut listings: HashMap<PathBuf, Listing> = HashMap::new();
    for row in rows {
        let (Some(folder), Some(name)) = (row.image.parent(), row.image.file_name()) else { continue };
        if !listings.contains_key(folder) {
            // What cannot be listed shows when its images are missed.
            listings.insert(folder.to_owned(), Listing::read(folder).unwrap_or_default());
        }
        let found = listings.get(folder).and_then(|listing| listing.find(name)).filter(|&found| found != name);
        if let Some(found) = found {
            row.image = folder.join(found);
        }
    }
}

/// The images that are not there.
pub(crate) fn missing(split: &SplitPlan) -> Vec<Dropped> {
    let missing = split.rows.iter().filter(|row| !row.image.exists());
    let dropped = missing.map(|row| Dropped {
        place: row.image.display().to_string(),
        reason: "no such image".to_owned(),
        broken: true,
    });
    dropped.collect()
}

/// Refuses a set of which too many images are missing, before any is read.
pub(crate) fn check(plan: &Plan, options: &PrepareOptions) -> Result<(), PrepareError> {
    for split in &plan.splits {
        let missing = missing(split);
        if let Some(first) = missing.first().filter(|_| missing.len() == split.rows.len()) {
            return Err(PrepareError::NoImages {
                set: plan.set,
                split: split.split.clone(),
                images: missing.len(),
                first: first.place.clone(),
            });
        }
        let records = split.rows.len() + split.dropped.len();
        let dropped: Vec<Dropped> = split.dropped.iter().cloned().chain(missing).collect();
        check_broken(plan.set, &split.split, &dropped, records, options)?;
    }
    Ok(())
}

/// An image's bytes and their hash; else why it cannot be used.
pub(crate) type Image = Result<(Vec<u8>, ContentHash), String>;

pub(crate) fn read(row: &PlannedRow, decode: bool) -> Image {
    let length = match fs::metadata(&row.image) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err("not a file".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err("no such image".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    if length > MAX_BYTES {
        return Err(format!("an image file of more than {} MiB", MAX_BYTES >> 20));
    }
    let bytes = fs::read(&row.image).map_err(|error| error.to_string())?;
    if bytes.is_empty() {
        return Err("an image file of 0 bytes".to_owned());
    }
    let is_dicom = bytes.get(128..132) == Some(b"DICM");
    if !is_dicom && ::image::guess_format(&bytes).is_err() {
        return Err("not an image of a known kind".to_owned());
    }
    if decode {
        decode_bytes(&bytes, &DecodeOptions::default()).map_err(|error| error.to_string())?;
    }
    let hash = content_hash(&bytes);
    Ok((bytes, hash))
}

/// Half of a SHA-256 tells images apart.
pub(crate) fn content_hash(bytes: &[u8]) -> ContentHash {
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|i| digest[i])
}
