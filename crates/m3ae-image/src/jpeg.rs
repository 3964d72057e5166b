//! Whether a JPEG file is whole. The decoder fills what is missing with grey and says nothing; a cut-off radiograph
//! must not train a model.

/// Whether the file reaches its end-of-image marker: walks the segments of the file's main image, so that the end
/// marker of an embedded thumbnail does not count.
///
/// ```text
/// FF D8 | FF xx len payload … | FF DA len header, entropy-coded data (FF 00 and FF D0–D7 belong to it) | … | FF D9
/// ```
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(start) = rest.iter().position(|&byte| byte == 0xFF) {
        rest = &rest[start..];
        // A marker may be preceded by any number of FF.
        let Some(code) = rest.iter().position(|&byte| byte != 0xFF) else { return false };
        let marker = rest[code];
        rest = &rest[code + 1..];
        match marker {
            0xD9 => return true,
            // Without payload: stuffing and restarts inside entropy-coded data, start of image, TEM.
            0x00 | 0x01 | 0xD0..=0xD8 => {}
            // With a payload, whose length counts its own two bytes. After a scan's header comes its data, which the
            // search for the next marker passes over.
            _ => {
                let Some((length, _)) = rest.split_first_chunk::<2>() else { return false };
                match rest.get(usize::from(u16::from_be_bytes(*length))..) {
                    Some(after) => rest = after,
                    None => return false,
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = &[
        0xFF, 0xD8, 0xFF, 0xE1, 0, 4, 0xFF, 0xD9, // a thumbnail's end marker inside a segment
        0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0x00, 3, 0xFF, 0xD0, 4, 0xFF, 0xFF, 0xD9, 9, 9,
    ];

    #[test]
    fn every_cut_is_noticed() {
        assert!(is_whole(WHOLE));
        // Two bytes of trailing rubbish may go, and no more.
        let end = WHOLE.len() - 2;
        assert!(is_whole(&WHOLE[..end]));
        for length in 0..end {
            assert!(!is_whole(&WHOLE[..length]), "{length}");
        }
    }
}
