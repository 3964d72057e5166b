//! NumPy's file format, version 1.0: one matrix of float32.
//!
//! ```text
//! 93 "NUMPY" 01 00 ┃ length of the header, u16
//! {'descr': '<f4', 'fortran_order': False, 'shape': (3, 768), } … \n ┃ rows
//! ```
//!
//! Spaces fill the header, so that the rows begin at a multiple of 64 bytes. All numbers are little-endian.

/// Rows begin at a multiple of it.
const ALIGNMENT: usize = 64;
/// What stands before the header: magic, version, length.
const PREFIX: usize = 10;

/// A matrix of rows of equal length as the content of a `.npy` file.
pub fn encode(rows: &[Vec<f32>]) -> Vec<u8> {
    let columns = rows.first().map_or(0, Vec::len);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {columns}), }}", rows.len());
    // The line break that ends the header counts too.
    let end = (PREFIX + header.len() + 1).next_multiple_of(ALIGNMENT) - PREFIX;
    header.extend(std::iter::repeat_n(' ', end - header.len() - 1));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    // At most two numbers of twenty digits: far below 65 536.
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(rows.iter().flatten().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_numpys_own() {
        // `numpy.save(file, numpy.array([[1, -2.5, 3], [0, 0.1, 6]], dtype="<f4"))`, numpy 2.
        let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        expected.extend(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        expected.extend(vec![b' '; 128 - expected.len() - 1]);
        expected.push(b'\n');
        for value in [1.0_f32, -2.5, 3.0, 0.0, 0.1, 6.0] {
            expected.extend(value.to_le_bytes());
        }
        assert_eq!(encode(&[vec![1.0, -2.5, 3.0], vec![0.0, 0.1, 6.0]]), expected);
    }

    #[test]
    fn rows_begin_at_a_multiple_of_64_bytes_whatever_the_shape() {
        for rows in [1, 9, 10, 12_345] {
            let bytes = encode(&vec![vec![0.5]; rows]);
            let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
            assert!((PREFIX + header).is_multiple_of(ALIGNMENT) && bytes[PREFIX + header - 1] == b'\n');
            assert_eq!(bytes.len(), PREFIX + header + 4 * rows);
        }
    }
}
