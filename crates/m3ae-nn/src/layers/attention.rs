//! Multi-head attention with its projections.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;

use super::{like, linear, values};
use crate::cpu::attention::{Inputs, Part, Shape, backward, forward};
use crate::cpu::mlp::Linear;
use crate::cpu::{Dropout, Mat, MatMut, Output, add_to_rows, column_sums, product, products};
use crate::node::{Layer, tensor};

/// Attention of `x` to itself or to `context`, from the tokens to the output projection. Inputs, in this order:
///
/// - packed: `[x, in weight [D, 3D], in bias, out weight, out bias, (residual)]`
/// - own: `[x, query weight, bias, key weight, bias, value weight, bias, out weight, bias]`
/// - cross: `[x, context, …]` and the same weights
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub heads: usize,
    /// Added to the scores, `[batch, keys]`; has no gradient.
    pub bias: Option<FlexTensor>,
    pub dropout: Dropout,
}

impl Attention {
    pub const PACKED: usize = 5;
    pub const PACKED_ADDED: usize = 6;
    pub const OWN: usize = 9;
    pub const CROSS: usize = 10;
}

/// What the forward pass leaves: projected tokens and the heads' output.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    /// `[tokens of x, 3D]` (query, key, value), or `[.., D]` for a query alone.
    of_x: FlexTensor,
    /// `[tokens of the context, 2D]` (key, value).
    of_context: Option<FlexTensor>,
    /// `[tokens of x, D]`
    heads: FlexTensor,
}

/// The parameters and their places among the inputs.
struct Parameters<'a> {
    /// Each a block of columns of what is projected from x, then from the context: `(place of the weight, layer)`.
    of_x: Vec<(usize, Linear<'a>)>,
    of_context: Vec<(usize, Linear<'a>)>,
    out: (usize, Linear<'a>),
    residual: Option<&'a [f32]>,
}

impl<'a> Parameters<'a> {
    fn of(inputs: &'a [FlexTensor]) -> Self {
        let at = |place: usize| (place, linear(&inputs[place], &inputs[place + 1]));
        match inputs.len() {
            Attention::PACKED | Attention::PACKED_ADDED => {
                let residual = inputs.get(5).map(values);
                Self { of_x: vec![at(1)], of_context: Vec::new(), out: at(3), residual }
            }
            Attention::OWN => {
                Self { of_x: vec![at(1), at(3), at(5)], of_context: Vec::new(), out: at(7), residual: None }
            }
            _ => Self { of_x: vec![at(2)], of_context: vec![at(4), at(6)], out: at(8), residual: None },
        }
    }
}

fn columns(layers: &[(usize, Linear<'_>)]) -> usize {
    layers.iter().map(|(_, layer)| layer.output()).sum()
}

/// All projections of `x` side by side: `[rows, columns]`.
fn project(x: &[f32], layers: &[(usize, Linear<'_>)]) -> Vec<f32> {
    let bias: Vec<f32> = layers.iter().flat_map(|(_, layer)| layer.bias).copied().collect();
    let matrices: Vec<Mat<'_>> = layers.iter().map(|(_, layer)| layer.matrix()).collect();
    let mut out = products(Mat::dense(x, layers[0].1.input()), &matrices);
    add_to_rows(&mut out, &bias, None);
    out
}

/// Gradients of `x` and of the parameters from the projections' gradient; the latter go to their places.
fn project_backward(
    x: &[f32],
    layers: &[(usize, Linear<'_>)],
    gradient: &[f32],
    needs_x: bool,
    places: &mut [Option<Vec<f32>>],
) -> Option<Vec<f32>> {
    let stride = columns(layers);
    let rows = gradient.len() / stride;
    let biases = column_sums(gradient, stride);
    let mut of_x = None;
    let mut column = 0;
    for (place, layer) in layers {
        let part = Mat::new(&gradient[column..], rows, layer.output(), stride);
        places[*place] = Some(layer.weight_gradient(Mat::dense(x, layer.input()), part));
        places[place + 1] = Some(biases[column..column + layer.output()].to_vec());
        match &mut of_x {
            _ if !needs_x => {}
            None => of_x = Some(products(part, &[layer.matrix().t()])),
            Some(of_x) => product(MatMut::dense(of_x, layer.input()), Output::Add, 1.0, part, layer.matrix().t()),
        }
        column += layer.output();
    }
    of_x
}

impl Attention {
    fn shape(&self, inputs: &[FlexTensor]) -> Shape {
        let [batch, queries, width] = inputs[0].shape().dims();
        let keys = if inputs.len() == Self::CROSS { inputs[1].shape()[1] } else { queries };
        Shape { batch, heads: self.heads, queries, keys, width }
    }

    fn attend<'a>(&'a self, of_x: &'a [f32], of_context: Option<&'a [f32]>, width: usize) -> Inputs<'a> {
        let part = |data, column, stride| Part { data, column: column * width, stride: stride * width };
        let (query, key, value) = match of_context {
            None => (part(of_x, 0, 3), part(of_x, 1, 3), part(of_x, 2, 3)),
            Some(context) => (part(of_x, 0, 1), part(context, 0, 2), part(context, 1, 2)),
        };
        Inputs { query, key, value, bias: self.bias.as_ref().map(values), dropout: self.dropout }
    }
}

impl Layer for Attention {
    type Saved = Saved;

    fn forward(&self, inputs: &[FlexTensor]) -> (FlexTensor, Saved) {
        let (shape, parameters) = (self.shape(inputs), Parameters::of(inputs));
        let of_x = project(values(&inputs[0]), &parameters.of_x);
        let of_context =
            (!parameters.of_context.is_empty()).then(|| project(values(&inputs[1]), &parameters.of_context));
        let heads = forward(&self.attend(&of_x, of_context.as_deref(), shape.width), &shape);
        let out = parameters.out.1.forward(&heads, parameters.residual);
        let flat = |values: Vec<f32>| {
            let count = values.len();
            tensor(values, [count].into())
        };
        let saved = Saved { of_x: flat(of_x), of_context: of_context.map(flat), heads: flat(heads) };
        (tensor(out, inputs[0].shape()), saved)
    }

    fn backward(
        &self,
        inputs: &[FlexTensor],
        saved: &Saved,
        gradient: &FlexTensor,
        needed: &[bool],
    ) -> Vec<Option<FlexTensor>> {
        let (shape, parameters) = (self.shape(inputs), Parameters::of(inputs));
        let width = shape.width;
        let mut places: Vec<Option<Vec<f32>>> = vec![None; inputs.len()];

        let (place, out) = parameters.out;
        let heads = Mat::dense(values(&saved.heads), width);
        places[place] = Some(out.weight_gradient(heads, Mat::dense(values(gradient), width)));
        places[place + 1] = Some(column_sums(values(gradient), width));
        let of_heads = out.input_gradient(values(gradient));

        let of_context = saved.of_context.as_ref().map(values);
        let attended = self.attend(values(&saved.of_x), of_context, width);
        let of_attended = backward(&attended, &shape, &of_heads);
        drop(of_heads);
        let x = values(&inputs[0]);
        if of_context.is_some() {
            let of_query = of_attended.query();
            places[0] = project_backward(x, &parameters.of_x, &of_query, needed[0], &mut places);
            let (context, of_pair) = (values(&inputs[1]), of_attended.key_and_value());
            places[1] = project_backward(context, &parameters.of_context, &of_pair, needed[1], &mut places);
        } else {
            let of_all = of_attended.all();
            drop(of_attended);
            places[0] = project_backward(x, &parameters.of_x, &of_all, needed[0], &mut places);
        }
        let mut gradients: Vec<Option<FlexTensor>> =
            inputs.iter().zip(places).map(|(input, place)| place.and_then(|values| like(input, values))).collect();
        if parameters.residual.is_some() {
            gradients[Self::PACKED] = Some(gradient.clone());
        }
        gradients
    }
}
