//! Multi-head attention with its projections.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;

use super::{like, linear, values};
use crate::flex::kernels::attention::{Inputs, Part, Shape, backward, forward};
use crate::flex::kernels::feed_forward::Linear;
use crate::flex::kernels::{Dropout, Mat, MatMut, Output, add_to_rows, column_sums, product, products};
use crate::flex::node::{Layer, tensor};

/// Attention of `x` to itself or to `context`, from the tokens to the output projection. Inputs, in this order:
///
/// - packed: `[x, in weight [D, 3D], in bias, out weight, out bias, (residual)]`
/// - separate: `[x, query weight, bias, key weight, bias, value weight, bias, out weight, bias]`
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
    pub const PACKED_RESIDUAL: usize = 6;
    pub const SEPARATE: usize = 9;
    pub const CROSS: usize = 10;
}

/// Kept for the backward pass: the projected tokens and the output of the heads.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    /// `[tokens of x, 3D]` (query, key, value), or `[.., D]` for a query alone.
    projected_x: FlexTensor,
    /// `[tokens of the context, 2D]` (key, value).
    projected_context: Option<FlexTensor>,
    /// `[tokens of x, D]`
    heads: FlexTensor,
}

/// The layers, each with the place of its weight among the inputs.
struct Layers<'a> {
    /// Project x: each gives a block of columns.
    x_layers: Vec<(usize, Linear<'a>)>,
    /// Project the context.
    context_layers: Vec<(usize, Linear<'a>)>,
    output: (usize, Linear<'a>),
    residual: Option<&'a [f32]>,
}

impl<'a> Layers<'a> {
    fn of(inputs: &'a [FlexTensor]) -> Self {
        let at = |place: usize| (place, linear(&inputs[place], &inputs[place + 1]));
        match inputs.len() {
            Attention::PACKED | Attention::PACKED_RESIDUAL => {
                let residual = inputs.get(5).map(values);
                Self { x_layers: vec![at(1)], context_layers: Vec::new(), output: at(3), residual }
            }
            Attention::SEPARATE => {
                Self { x_layers: vec![at(1), at(3), at(5)], context_layers: Vec::new(), output: at(7), residual: None }
            }
            _ => Self { x_layers: vec![at(2)], context_layers: vec![at(4), at(6)], output: at(8), residual: None },
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

/// From the gradient of the projections, `[rows, columns]`: gives the gradient of `x`, and puts those of the parameters
/// into their places.
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
    let mut x_gradient = None;
    let mut column = 0;
    for (place, layer) in layers {
        let part = Mat::new(&gradient[column..], rows, layer.output(), stride);
        places[*place] = Some(layer.weight_gradient(Mat::dense(x, layer.input()), part));
        places[place + 1] = Some(biases[column..column + layer.output()].to_vec());
        match &mut x_gradient {
            _ if !needs_x => {}
            None => x_gradient = Some(products(part, &[layer.matrix().t()])),
            Some(x_gradient) => {
                product(MatMut::dense(x_gradient, layer.input()), Output::Add, 1.0, part, layer.matrix().t())
            }
        }
        column += layer.output();
    }
    x_gradient
}

impl Attention {
    fn shape(&self, inputs: &[FlexTensor]) -> Shape {
        let [batch, queries, width] = inputs[0].shape().dims();
        let keys = if inputs.len() == Self::CROSS { inputs[1].shape()[1] } else { queries };
        Shape { batch, heads: self.heads, queries, keys, width }
    }

    fn attend<'a>(&'a self, projected_x: &'a [f32], projected_context: Option<&'a [f32]>, width: usize) -> Inputs<'a> {
        let part = |data, column, stride| Part { data, column: column * width, stride: stride * width };
        let (query, key, value) = match projected_context {
            None => (part(projected_x, 0, 3), part(projected_x, 1, 3), part(projected_x, 2, 3)),
            Some(context) => (part(projected_x, 0, 1), part(context, 0, 2), part(context, 1, 2)),
        };
        Inputs { query, key, value, bias: self.bias.as_ref().map(values), dropout: self.dropout }
    }
}

impl Layer for Attention {
    type Saved = Saved;

    fn forward(&self, inputs: &[FlexTensor]) -> (FlexTensor, Saved) {
        let (shape, layers) = (self.shape(inputs), Layers::of(inputs));
        let projected_x = project(values(&inputs[0]), &layers.x_layers);
        let projected_context =
            (!layers.context_layers.is_empty()).then(|| project(values(&inputs[1]), &layers.context_layers));
        let heads = forward(&self.attend(&projected_x, projected_context.as_deref(), shape.width), &shape);
        let out = layers.output.1.forward(&heads, layers.residual);
        let flat = |values: Vec<f32>| {
            let count = values.len();
            tensor(values, [count].into())
        };
        let saved = Saved {
            projected_x: flat(projected_x),
            projected_context: projected_context.map(flat),
            heads: flat(heads),
        };
        (tensor(out, inputs[0].shape()), saved)
    }

    fn backward(
        &self,
        inputs: &[FlexTensor],
        saved: &Saved,
        gradient: &FlexTensor,
        needed: &[bool],
    ) -> Vec<Option<FlexTensor>> {
        let (shape, layers) = (self.shape(inputs), Layers::of(inputs));
        let width = shape.width;
        let mut places: Vec<Option<Vec<f32>>> = vec![None; inputs.len()];

        let (place, out) = layers.output;
        let heads = Mat::dense(values(&saved.heads), width);
        places[place] = Some(out.weight_gradient(heads, Mat::dense(values(gradient), width)));
        places[place + 1] = Some(column_sums(values(gradient), width));
        let heads_gradient = out.input_gradient(values(gradient));

        let projected_context = saved.projected_context.as_ref().map(values);
        let attended = self.attend(values(&saved.projected_x), projected_context, width);
        let gradients = backward(&attended, &shape, &heads_gradient);
        drop(heads_gradient);
        let x = values(&inputs[0]);
        if projected_context.is_some() {
            let query_gradient = gradients.query();
            places[0] = project_backward(x, &layers.x_layers, &query_gradient, needed[0], &mut places);
            let (context, key_value_gradient) = (values(&inputs[1]), gradients.key_and_value());
            places[1] = project_backward(context, &layers.context_layers, &key_value_gradient, needed[1], &mut places);
        } else {
            let all_gradients = gradients.all();
            drop(gradients);
            places[0] = project_backward(x, &layers.x_layers, &all_gradients, needed[0], &mut places);
        }
        let mut input_gradients: Vec<Option<FlexTensor>> =
            inputs.iter().zip(places).map(|(input, place)| place.and_then(|values| like(input, values))).collect();
        if layers.residual.is_some() {
            input_gradients[Self::PACKED] = Some(gradient.clone());
        }
        input_gradients
    }
}
