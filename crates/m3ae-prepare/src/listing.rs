//! A folder's file names, whatever their case.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs, io,
    path::Path,
};

/// The names in a folder. A name is found as it is, and else by another that differs in ASCII case only: images are
/// called `.JPG` in one copy of a data set and `.jpg` in the next.
#[derive(Debug, Default)]
pub(crate) struct Listing(HashMap<OsString, OsString>);

impl Listing {
    /// Reads a folder.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        Ok(Self::of(names))
    }

    fn of(mut names: Vec<OsString>) -> Self {
        // Of several names that differ in case only, the first in order is the one that a third spelling finds.
        names.sort_unstable_by(|a, b| b.cmp(a));
        let mut found: HashMap<_, _> = names.iter().map(|name| (name.to_ascii_lowercase(), name.clone())).collect();
        found.extend(names.into_iter().map(|name| (name.clone(), name)));
        Self(found)
    }

    /// What the file of this name is called.
    pub fn find(&self, name: &OsStr) -> Option<&OsStr> {
        self.0.get(name).or_else(|| self.0.get(&name.to_ascii_lowercase())).map(OsString::as_os_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_exact_ones_first() {
        let listing = Listing::of(["a.jpg", "B.JPG", "c.Jpg", "C.JPG", "d.png", "D.png"].map(OsString::from).into());
        let find = |name: &str| listing.find(OsStr::new(name)).and_then(OsStr::to_str);
        assert_eq!((find("a.jpg"), find("A.JPG"), find("b.jpg")), (Some("a.jpg"), Some("a.jpg"), Some("B.JPG")));
        assert_eq!((find("c.Jpg"), find("C.JPG"), find("c.jpg")), (Some("c.Jpg"), Some("C.JPG"), Some("C.JPG")));
        assert_eq!((find("d.png"), find("D.png"), find("D.PNG")), (Some("d.png"), Some("D.png"), Some("d.png")));
        assert_eq!(find("e.png"), None);
    }
}
