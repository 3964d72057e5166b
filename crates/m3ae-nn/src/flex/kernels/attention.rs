//! Multi-head attention between its projections. The backward pass computes the probabilities again instead of keeping
//! them: those of one head fit the cache, those of all heads and layers would be most of a training step's memory.

use super::{Dropout, Mat, MatMut, Output, buffer, exp, largest, pieces, product_here, sum, sum_pairs, vectorized};

/// The shape of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub batch: usize,
    pub heads: usize,
    /// Tokens that attend.
    pub queries: usize,
    /// Tokens that are attended to.
    pub keys: usize,
    /// Width of all heads together.
    pub width: usize,
}

/// Rows of `[batch · length, …]` whose `width` columns from `column` on are queries, keys or values.
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

/// The operands of attention.
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
                let max = largest(row);
                row.iter_mut().for_each(|score| *score = exp(*score - max));
                let scale = 1.0 / sum(row, |x| x);
                row.iter_mut().for_each(|probability| *probability *= scale);
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
                row.iter_mut().enumerate().for_each(|(key, probability)| *probability *= factor(key));
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
    fn offsets(&self) -> [usize; 3] {
        let head_width = self.shape.width / self.shape.heads;
        let (query_len, key_len) = (self.shape.queries * head_width, self.shape.keys * head_width);
        [0, query_len, query_len + key_len]
    }

    /// Of the queries: `[batch · queries, width]`.
    pub fn query(&self) -> Vec<f32> {
        self.heads.merge(&self.shape, self.shape.queries, &self.offsets()[..1])
    }

    /// Of keys and values, side by side: `[batch · keys, 2 · width]`.
    pub fn key_and_value(&self) -> Vec<f32> {
        self.heads.merge(&self.shape, self.shape.keys, &self.offsets()[1..])
    }

    /// Of all three, where tokens read each other: `[batch · tokens, 3 · width]`.
    pub fn all(&self) -> Vec<f32> {
        self.heads.merge(&self.shape, self.shape.queries, &self.offsets())
    }
}

/// From the gradient of the merged heads, `[batch · queries, width]`.
pub(crate) fn backward(inputs: &Inputs<'_>, shape: &Shape, gradient: &[f32]) -> HeadGradients {
    let head_width = shape.width / shape.heads;
    let scale = (head_width as f32).powf(-0.5);
    let gradient = Part { data: gradient, column: 0, stride: shape.width };
    let (query_len, key_len) = (shape.queries * head_width, shape.keys * head_width);
    // One piece per head, [query | key | value], so that tasks own what they write.
    let piece = query_len + 2 * key_len;
    let values = each_head(piece, shape, 2, |sample, head, [probabilities, score_gradients], out| {
        let (query_out, rest) = out.split_at_mut(query_len);
        let (key_out, value_out) = rest.split_at_mut(key_len);
        let query = inputs.query.head(shape, sample, head, shape.queries);
        let key = inputs.key.head(shape, sample, head, shape.keys);
        let value = inputs.value.head(shape, sample, head, shape.keys);
        let gradient = gradient.head(shape, sample, head, shape.queries);

        inputs.probabilities(shape, sample, head, probabilities);
        product_here(MatMut::dense(score_gradients, shape.keys), Output::Set, 1.0, gradient, value.t());
        // The weights are the probabilities times the dropout mask, so the gradient of the probabilities passes the
        // mask too.
        inputs.drop_out(shape, sample, head, score_gradients);
        let centre = |probabilities: &[f32], score_gradients: &mut [f32]| {
            let mean = sum_pairs(probabilities, score_gradients, |probability, g| probability * g);
            score_gradients
                .iter_mut()
                .zip(probabilities)
                .for_each(|(g, &probability)| *g = probability * (*g - mean) * scale);
        };
        vectorized(|| {
            for (probabilities, score_gradients) in
                probabilities.chunks_exact(shape.keys).zip(score_gradients.chunks_exact_mut(shape.keys))
            {
                centre(probabilities, score_gradients);
            }
        });
        let score_gradients = Mat::dense(score_gradients, shape.keys);
        product_here(MatMut::dense(query_out, head_width), Output::Set, 1.0, score_gradients, key);
        product_here(MatMut::dense(key_out, head_width), Output::Set, 1.0, score_gradients.t(), query);
        inputs.drop_out(shape, sample, head, probabilities);
        let weights = Mat::dense(probabilities, shape.keys);
        product_here(MatMut::dense(value_out, head_width), Output::Set, 1.0, weights.t(), gradient);
    });
    HeadGradients { heads: Heads { values, piece }, shape: *shape }
}

/// A piece of values for each head of each sample: `[batch, heads, piece]`, matrices `[length, head width]` after each
/// other.
struct Heads {
    values: Vec<f32>,
    piece: usize,
}

impl Heads {
    /// The matrices of `length` rows at `offsets` of each piece, all heads of a token in one row, the matrices side by
    /// side: `[batch · length, offsets · width]`.
    fn merge(&self, shape: &Shape, length: usize, offsets: &[usize]) -> Vec<f32> {
        let (head_width, stride) = (shape.width / shape.heads, offsets.len() * shape.width);
        let size = length * stride;
        pieces(
            shape.batch * size,
            size,
            || (),
            |(), sample, out| {
                let heads = &self.values[sample * shape.heads * self.piece..][..shape.heads * self.piece];
                for (token, row) in out.chunks_exact_mut(stride).enumerate() {
                    for (row, start) in row.chunks_exact_mut(shape.width).zip(offsets) {
                        for (values, head) in row.chunks_exact_mut(head_width).zip(heads.chunks_exact(self.piece)) {
                            values.copy_from_slice(&head[start + token * head_width..][..head_width]);
                        }
                    }
                }
            },
        )
    }
}

/// Calls `f(sample, head, scratch, piece)` for each head of each sample, in parallel, and gives the pieces that it
/// fills: `[batch, heads, piece]`. `scratch` is two matrices `[queries, keys]`; the second is empty if `matrices` is 1.
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
