//! Attention inside windows: how a grid is cut into them, shifted or not, and who may see whom.
//!
//! ```text
//! plain windows    the same tokens, rolled up and left by half a window, cut again
//! A A │ B B        A B │ B a
//! A A │ B B        C D │ D c      A window now spans what were four. Tokens that the roll
//! ────┼────        ────┼────      carried round to the opposite border (lower case) must not
//! C C │ D D        C D │ D c      see those they now sit beside: a and c see each other, but
//! C C │ D D        a b │ b a      neither sees B or D.
//! ```

use burn::module::Param;
use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::TensorData;
use m3ae_nn::{Precision, linear, merge_heads, scaled_dot_product_attention, split_heads};

use crate::init::Init;
use crate::inputs::MASKED;

/// For each ordered pair of tokens in a window of side w, its row of the bias table, `[w² · w²]`: the query's offset
/// from the key, (rows + w - 1) · (2w - 1) + (columns + w - 1).
pub(crate) fn relative_position_index(window: usize) -> Vec<i64> {
    let place = |token: usize| (token / window, token % window);
    let tokens = window * window;
    let mut index = Vec::with_capacity(tokens * tokens);
    for (query_row, query_column) in (0..tokens).map(place) {
        for (key_row, key_column) in (0..tokens).map(place) {
            let rows = query_row + window - 1 - key_row;
            let columns = query_column + window - 1 - key_column;
            index.push((rows * (2 * window - 1) + columns) as i64);
        }
    }
    index
}

/// How the square token grid of one stage is cut into windows, and the constants that attention in them needs.
#[derive(Debug, Clone)]
pub(crate) struct Windows {
    grid: usize,
    window: usize,
    /// How far the grid is rolled up and left before it is cut.
    shift: usize,
    /// [`relative_position_index`], `[L · L]`, L = window².
    index: Tensor<1, Int>,
    /// True where a query (second axis) must not see a key (third): `[W, L, L]`, W = windows per image.
    hidden: Option<Tensor<3, Bool>>,
}

impl Windows {
    /// Windows of side `window`, which divides the grid's side.
    pub(crate) fn new(grid: usize, window: usize, shift: usize, device: &Device) -> Self {
        let index = relative_position_index(window);
        let index = Tensor::from_data(TensorData::new(index, [window.pow(4)]), device);
        let mut windows = Self { grid, window, shift, index, hidden: None };
        if shift > 0 {
            windows.hidden = Some(windows.hidden(device));
        }
        windows
    }

    /// Within a window, tokens see each other if the roll carried both or neither round, on each axis.
    fn hidden(&self, device: &Device) -> Tensor<3, Bool> {
        let round = |place: usize| i64::from(place >= self.grid - self.shift);
        let (tokens, per_side) = (self.window * self.window, self.grid / self.window);
        let windows = per_side * per_side;
        let region = |window: usize, token: usize| {
            let row = window / per_side * self.window + token / self.window;
            let column = window % per_side * self.window + token % self.window;
            2 * round(row) + round(column)
        };
        let regions: Vec<i64> =
            (0..windows).flat_map(|window| (0..tokens).map(move |token| region(window, token))).collect();
        let regions = Tensor::<2, Int>::from_data(TensorData::new(regions, [windows, tokens]), device);
        let query = regions.clone().unsqueeze_dim::<3>(2).expand([windows, tokens, tokens]);
        let key = regions.unsqueeze_dim::<3>(1).expand([windows, tokens, tokens]);
        query.not_equal(key)
    }

    /// `[B, H, W, D]` -> `[B · windows, L, D]`, windows and tokens row by row.
    fn cut(&self, x: Tensor<4>) -> Tensor<3> {
        let [batch, _, _, width] = x.dims();
        let (w, per_side) = (self.window, self.grid / self.window);
        let x = x.reshape([batch, per_side, w, per_side, w, width]).permute([0, 1, 3, 2, 4, 5]);
        x.reshape([batch * per_side * per_side, w * w, width])
    }

    /// The inverse of [`Self::cut`].
    fn join(&self, x: Tensor<3>) -> Tensor<4> {
        let [all, _, width] = x.dims();
        let (w, per_side) = (self.window, self.grid / self.window);
        let batch = all / (per_side * per_side);
        let x = x.reshape([batch, per_side, per_side, w, w, width]).permute([0, 1, 3, 2, 4, 5]);
        x.reshape([batch, self.grid, self.grid, width])
    }

    /// `[B, H, W, D]` rolled down and right by `by` tokens; negative is up and left.
    fn roll(&self, x: Tensor<4>, by: isize) -> Tensor<4> {
        if self.shift == 0 { x } else { x.roll(&[by, by], &[1, 2]) }
    }
}

/// Multi-head self-attention among the tokens of a window, with a learnt bias for each relative position.
#[derive(Module, Debug)]
pub struct WindowAttention {
    /// `[(2w - 1)², heads]`, w = window side.
    pub relative_position_bias_table: Param<Tensor<2>>,
    /// `D -> 3D`: query, key, value, in that order.
    pub qkv: Linear,
    /// `D -> D`.
    pub proj: Linear,
    heads: usize,
}

impl WindowAttention {
    pub(crate) fn new(width: usize, heads: usize, window: usize, device: &Device) -> Self {
        let init = Init::default();
        Self {
            relative_position_bias_table: init.parameter([(2 * window - 1).pow(2), heads], device),
            qkv: init.linear(width, 3 * width, device),
            proj: init.linear(width, width, device),
            heads,
        }
    }

    /// `[B, H, W, D]` -> `[B, H, W, D]`.
    pub(crate) fn forward(&self, x: Tensor<4>, windows: &Windows, precision: Precision) -> Tensor<4> {
        let shift = windows.shift as isize;
        let x = self.within(windows.cut(windows.roll(x, -shift)), windows, precision);
        windows.roll(windows.join(x), shift)
    }

    /// `[B · W, L, D]` -> `[B · W, L, D]`.
    fn within(&self, x: Tensor<3>, windows: &Windows, precision: Precision) -> Tensor<3> {
        let [all, tokens, width] = x.dims();
        let bias = self.bias(tokens, windows); // [1, groups, L, L]
        let groups = bias.dims()[1];
        let shape = [all * self.heads / groups, groups, tokens, width / self.heads];
        let packed = linear(x, &self.qkv, precision); // [B · W, L, 3D]
        let part = |i: usize| split_heads(packed.clone().narrow(2, i * width, width), self.heads).reshape(shape);
        let (attended, _) = scaled_dot_product_attention(part(0), part(1), part(2), Some(bias), 0.0, precision);
        let attended = attended.reshape([all, self.heads, tokens, width / self.heads]);
        linear(merge_heads(attended), &self.proj, precision)
    }

    /// What is added to the scores of each head, `[1, heads, L, L]`; of each window and head, `[1, W · heads, L, L]`,
    /// where windows differ in what they hide.
    fn bias(&self, tokens: usize, windows: &Windows) -> Tensor<4> {
        let table = self.relative_position_bias_table.val();
        let bias = table.select(0, windows.index.clone()).reshape([tokens, tokens, self.heads]);
        let bias = bias.permute([2, 0, 1]).unsqueeze::<4>(); // [1, heads, L, L]
        let Some(hidden) = &windows.hidden else { return bias };
        let [count, ..] = hidden.dims();
        let shape = [count, self.heads, tokens, tokens];
        let hidden = hidden.clone().unsqueeze_dim::<4>(1).expand(shape);
        bias.expand(shape).mask_fill(hidden, MASKED).reshape([1, count * self.heads, tokens, tokens])
    }
}
