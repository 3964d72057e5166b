//! Multi-head attention between its projections. The probabilities are computed again in the backward pass instead of being kept:
//! one head's fit the cache, all heads' of all layers would be most of the memory of a training step.

use super::{Dropout, Mat, MatMut, Output, buffer, exp, largest, pieces, product_here, sum, sum_pairs, vectorized};

/// The shape of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub batch: usize,
    pub heads: usize,
    /// Tokens that ask.
    pub queries: usize,
    /// Tokens that are read.
    pub keys: usize,
    /// Width of all heads together.
    pub width: usize,
}

/// Rows of `[batch · length, …]` of which `width` columns from `column` on are queries, keys or values.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub data: &'a [f32],
    pub column: usize,
    pub stride: usize,
}

impl<'a> Part<'a> {
    /// One head of one sample: `[length, head width]`.
    fn head(&self, shape: &Shape, sample: usize, head: usize, length: usize) -> Mat<'a> {
        let width = shape.width / shape.heads;
        let start = sample * length * self.stride + self.column + head * width;
        Mat::new(&self.data[start..], length, width, self.stride)
    }
}

/// What is attended to.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub query: Part<'a>,
    pub key: Part<'a>,
    pub value: Part<'a>,
    /// Added to the scores of each sample: `[batch, keys]`.
    pub bias: Option<&'a [f32]>,
    /// Of the probabilities.
    pub dropout: Dropout,
}

impl Inputs<'_> {
    /// Probabilities of one head into `out` `[queries, keys]`, before dropout.
    fn probabilities(&self, shape: &Shape, sample: usize, head: usize, out: &mut [f32]) {
        let scale = ((shape.width / shape.heads) as f32).powf(-0.5);
        let query = self.query.head(shape, sample, head, shape.queries);
        let key = self.key.head(shape, sample, head, shape.keys);
        product_here(MatMut::dense(out, shape.keys), Output::Set, scale, query, key.t());
        let bias = self.bias.map(|bias| &bias[sample * shape.keys..][..shape.keys]);
        vectorized(|| {
            for row in out.chunks_exact_mut(shape.keys) {
                if let Some(bias) = bias {
                    row.iter_mut().zip(bias).for_each(|(score, &bias)| *score += bias);
                }
                let most = largest(row);
                row.iter_mut().for_each(|score| *score = exp(*score - most));
                let total = 1.0 / sum(row, |x| x);
                row.iter_mut().for_each(|share| *share *= total);
            }
        });
    }

    /// Multiplies `rows` of a head by the dropout's factors.
    fn drop_out(&self, shape: &Shape, sample: usize, head: usize, rows: &mut [f32]) {
        if !self.dropout.is_active() {
            return;
        }
        let first = (sample * shape.heads + head) * shape.queries;
        vectorized(|| {
            for (query, row) in rows.chunks_exact_mut(shape.keys).enumerate() {
                let factor = self.dropout.row((first + query) as u64);
                row.iter_mut().enumerate().for_each(|(key, share)| *share *= factor(key));
            }
        });
    }
}

/// `[batch · queries, width]`: each head's values, weighted.
pub(crate) fn forward(inputs: &Inputs<'_>, shape: &Shape) -> Vec<f32> {
    let head_width = shape.width / shape.heads;
    let piece = shape.queries * head_width;
    let heads = each_head(piece, shape, 1, |sample, head, [weights, _], out| {
        inputs.probabilities(shape, sample, head, weights);
        inputs.drop_out(shape, sample, head, weights);
        let value = inputs.value.head(shape, sample, head, shape.keys);
        product_here(MatMut::dense(out, head_width), Output::Set, 1.0, Mat::dense(weights, shape.keys), value);
    });
    Heads { values: heads, piece }.merge(shape, shape.queries, &[0])
}

/// Gradients of queries, keys and values, head by head.
pub(crate) struct HeadGradients {
    heads: Heads,
    shape: Shape,
}

impl HeadGradients {
    fn starts(&self) -> [usize; 3] {
        let head_width = self.shape.width / self.shape.heads;
        let (of_query, of_key) = (self.shape.queries * head_width, self.shape.keys * head_width);
        [0, of_query, of_query + of_key]
    }

    /// Of the queries: `[batch · queries, width]`.
    pub fn query(&self) -> Vec<f32> {
        self.heads.merge(&self.shape, self.shape.queries, &self.starts()[..1])
    }

    /// Of keys and values, side by side: `[batch · keys, 2 · width]`.
    pub fn key_and_value(&self) -> Vec<f32> {
        self.heads.merge(&self.shape, self.shape.keys, &self.starts()[1..])
    }

    /// Of all three, where tokens read each other: `[batch · tokens, 3 · width]`.
    pub fn all(&self) -> Vec<f32> {
        self.heads.merge(&self.shape, self.shape.queries, &self.starts())
    }
}

/// From the gradient of the merged heads, `[batch · queries, width]`.
pub(crate) fn backward(inputs: &Inputs<'_>, shape: &Shape, gradient: &[f32]) -> HeadGradients {
    let head_width = shape.width / shape.heads;
    let scale = (head_width as f32).powf(-0.5);
    let gradient = Part { data: gradient, column: 0, stride: shape.width };
    let (of_query, of_key) = (shape.queries * head_width, shape.keys * head_width);
    // One piece per head, [query | key | value], so that tasks own what they write.
    let piece = of_query + 2 * of_key;
    let values = each_head(piece, shape, 2, |sample, head, [shares, of_scores], out| {
        let (query_out, rest) = out.split_at_mut(of_query);
        let (key_out, value_out) = rest.split_at_mut(of_key);
        let query = inputs.query.head(shape, sample, head, shape.queries);
        let key = inputs.key.head(shape, sample, head, shape.keys);
        let value = inputs.value.head(shape, sample, head, shape.keys);
        let gradient = gradient.head(shape, sample, head, shape.queries);

        inputs.probabilities(shape, sample, head, shares);
        product_here(MatMut::dense(of_scores, shape.keys), Output::Set, 1.0, gradient, value.t());
        // Where the weights are the probabilities times a dropout mask, the latter's gradient passes the mask as well.
        inputs.drop_out(shape, sample, head, of_scores);
        let centre = |shares: &[f32], of_scores: &mut [f32]| {
            let mean = sum_pairs(shares, of_scores, |share, g| share * g);
            of_scores.iter_mut().zip(shares).for_each(|(g, &share)| *g = share * (*g - mean) * scale);
        };
        vectorized(|| {
            for (shares, of_scores) in shares.chunks_exact(shape.keys).zip(of_scores.chunks_exact_mut(shape.keys)) {
                centre(shares, of_scores);
            }
        });
        let of_scores = Mat::dense(of_scores, shape.keys);
        product_here(MatMut::dense(query_out, head_width), Output::Set, 1.0, of_scores, key);
        product_here(MatMut::dense(key_out, head_width), Output::Set, 1.0, of_scores.t(), query);
        inputs.drop_out(shape, sample, head, shares);
        let weights = Mat::dense(shares, shape.keys);
        product_here(MatMut::dense(value_out, head_width), Output::Set, 1.0, weights.t(), gradient);
    });
    HeadGradients { heads: Heads { values, piece }, shape: *shape }
}

/// A piece of values for each head of each sample: `[batch, heads, piece]`, matrices `[length, head width]` after each other.
struct Heads {
    values: Vec<f32>,
    piece: usize,
}

impl Heads {
    /// The matrices of `length` rows that begin at `starts` of each piece, all heads of a token in one row, the matrices side by side:
    /// `[batch · length, starts · width]`.
    fn merge(&self, shape: &Shape, length: usize, starts: &[usize]) -> Vec<f32> {
        let (head_width, stride) = (shape.width / shape.heads, starts.len() * shape.width);
        let size = length * stride;
        pieces(
            shape.batch * size,
            size,
            || (),
            |(), sample, out| {
                let heads = &self.values[sample * shape.heads * self.piece..][..shape.heads * self.piece];
                for (token, row) in out.chunks_exact_mut(stride).enumerate() {
                    for (row, start) in row.chunks_exact_mut(shape.width).zip(starts) {
                        for (values, head) in row.chunks_exact_mut(head_width).zip(heads.chunks_exact(self.piece)) {
                            values.copy_from_slice(&head[start + token * head_width..][..head_width]);
                        }
                    }
                }
            },
        )
    }
}

/// `[batch, heads, piece]` of what `f(sample, head, scratch, piece)` makes for each head of each sample, in parallel. `scratch` is two
/// matrices `[queries, keys]`, of which the second is empty where `matrices` is 1.
fn each_head(
    piece: usize,
    shape: &Shape,
    matrices: usize,
    f: impl Fn(usize, usize, [&mut [f32]; 2], &mut [f32]) + Sync + Send,
) -> Vec<f32> {
    let scores = shape.queries * shape.keys;
    let scratch = || buffer(matrices * scores);
    pieces(shape.batch * shape.heads * piece, piece, scratch, |scratch, index, piece| {
        let (first, second) = scratch.split_at_mut(scores);
        f(index / shape.heads, index % shape.heads, [first, second], piece);
    })
}
