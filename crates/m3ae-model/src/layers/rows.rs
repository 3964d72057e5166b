//! Selecting rows of sequences.

use burn::prelude::*;

/// Takes rows `ids[b, i]` of each `x[b]`: `[B, N, D]` and `[B, K]` -> `[B, K, D]`.
pub(crate) fn take_rows(x: Tensor<3>, ids: Tensor<2, Int>) -> Tensor<3> {
    let [batch, rows, width] = x.dims();
    let [_, kept] = ids.dims();
    // One flat selection copies whole rows, where `gather` would need an index per element.
    let offsets = Tensor::<1, Int>::arange(0..batch as i64, &ids.device()).mul_scalar(rows as i64);
    let flat = (ids + offsets.reshape([batch, 1])).reshape([batch * kept]);
    x.reshape([batch * rows, width]).select(0, flat).reshape([batch, kept, width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn take_rows_takes_each_batch_entry_own_rows() {
        let device = Device::default();
        let x = Tensor::<1, Int>::arange(0..12, &device).float().reshape([2, 3, 2]);
        let ids = Tensor::<2, Int>::from_data([[2, 0], [1, 1]], &device);
        let expected = TensorData::from([[[4.0_f32, 5.0], [0.0, 1.0]], [[8.0, 9.0], [8.0, 9.0]]]);
        take_rows(x, ids).into_data().assert_eq(&expected, true);
    }
}
