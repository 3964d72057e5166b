//! The losses, each as the reference computes it (`docs/spec.md`, section 2). All are means in float32 and give a
//! tensor of one value.

use burn::prelude::*;
use burn::tensor::activation::{log_sigmoid, log_softmax};

/// Mean cross-entropy of `logits` `[rows, classes]` against class ids `[rows]`. No rows: 0.
#[must_use]
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    if rows == 0 {
        return Tensor::zeros([1], &logits.device());
    }
    let log_probabilities = log_softmax(logits, 1).gather(1, targets.reshape([rows, 1])); // [rows, 1]
    log_probabilities.mean().neg()
}

/// Masked image modelling: squared error per patch, averaged over the removed patches only. No removed patches: 0.
///
/// - `prediction`, `target`: `[B, N, P·P·3]`
/// - `mask`: `[B, N]`, 1 = removed
#[must_use]
pub fn mim_loss(prediction: Tensor<3>, target: Tensor<3>, mask: Tensor<2>) -> Tensor<1> {
    let error = (prediction - target).square().mean_dim(2).squeeze_dim::<2>(2); // [B, N]
    // Without a removed patch the loss is 0, not 0/0.
    (error * mask.clone()).sum() / mask.sum().clamp_min(1.0)
}

/// Question answering: binary cross-entropy with logits against scores in [0, 1], mean over all entries, times the
/// number of answers. Both `[B, answers]`.
#[must_use]
pub fn vqa_loss(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let [_, answers] = logits.dims();
    let positive = log_sigmoid(logits.clone()) * targets.clone();
    let negative = log_sigmoid(logits.neg()) * (targets.neg() + 1.0);
    (positive + negative).mean().neg() * answers as f64
}

/// How many rows have their highest logit at the target: `[rows, classes]`, `[rows]` -> a tensor of one count.
#[must_use]
pub fn hits(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1, Int> {
    let [rows, _] = logits.dims();
    if rows == 0 {
        return Tensor::zeros([1], &logits.device());
    }
    logits.argmax(1).reshape([rows]).equal(targets).int().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(loss: Tensor<1>, expected: f64) {
        let loss = f64::from(loss.into_scalar::<f32>());
        assert!((loss - expected).abs() < 1e-6, "{loss} is not {expected}");
    }

    #[test]
    fn cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes() {
        let device = Device::default();
        close(cross_entropy(Tensor::zeros([3, 5], &device), Tensor::from_data([0, 2, 4], &device)), 5_f64.ln());
        close(cross_entropy(Tensor::zeros([0, 5], &device), Tensor::zeros([0], &device)), 0.0);
    }

    #[test]
    fn mim_counts_removed_patches_only() {
        let device = Device::default();
        let prediction = Tensor::<3>::from_data([[[1.0, 3.0], [100.0, 100.0]]], &device);
        let loss = mim_loss(prediction, Tensor::zeros([1, 2, 2], &device), Tensor::from_data([[1.0, 0.0]], &device));
        close(loss, 5.0);
        let none = Tensor::zeros([1, 2], &device);
        close(mim_loss(Tensor::ones([1, 2, 2], &device), Tensor::zeros([1, 2, 2], &device), none), 0.0);
    }

    #[test]
    fn vqa_of_zero_logits_is_ln_2_times_the_answers() {
        let device = Device::default();
        close(vqa_loss(Tensor::zeros([2, 4], &device), Tensor::ones([2, 4], &device)), 4.0 * 2_f64.ln());
        // A hopelessly wrong logit stays finite: 50 nats spread over 2 entries, times 2 answers.
        let logits = Tensor::<2>::from_data([[50.0, -50.0]], &device);
        close(vqa_loss(logits, Tensor::from_data([[0.0, 0.0]], &device)), 50.0);
    }

    #[test]
    fn hits_count_rows_whose_best_logit_is_the_target() {
        let device = Device::default();
        let logits = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]], &device);
        assert_eq!(hits(logits, Tensor::from_data([1, 1, 1], &device)).into_scalar::<i64>(), 2);
    }
}
