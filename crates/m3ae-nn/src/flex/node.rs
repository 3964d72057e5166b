//! One node of the autodiff graph for a whole layer.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, CheckpointStrategy, NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, BackendTensor, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor, Flex,
    GradientCheckpointingStrategy,
};
use burn::tensor::{Bytes, DType, Shape};

/// A layer with a backward pass of its own.
pub(crate) trait Layer: Clone + Send + Sync + std::fmt::Debug + 'static {
    /// What the backward pass needs beside the inputs.
    type Saved: Clone + Send + std::fmt::Debug + 'static;

    /// The output of contiguous float32 `inputs`, and what the backward pass needs.
    fn forward(&self, inputs: &[FlexTensor]) -> (FlexTensor, Self::Saved);

    /// The gradient of each input whose place in `needed` is true, from the output's.
    fn backward(
        &self,
        inputs: &[FlexTensor],
        saved: &Self::Saved,
        gradient: &FlexTensor,
        needed: &[bool],
    ) -> Vec<Option<FlexTensor>>;
}

/// Runs a layer where its inputs are: on Flex, or on Flex under autodiff with either strategy. `None` where they are
/// elsewhere.
pub(crate) fn run<L: Layer>(layer: L, inputs: Vec<DispatchTensor>) -> Option<DispatchTensor> {
    match inputs.first()?.autodiff {
        DispatchAutodiffContext::Disabled => {
            let inputs = primitives::<Flex>(inputs)?;
            let (output, _) = layer.forward(&contiguous(inputs));
            Some(<DispatchTensor as DispatchKindConversion<Flex>>::from_backend(BackendTensor::Float(output)))
        }
        DispatchAutodiffContext::Enabled(GradientCheckpointingStrategy::Disabled) => {
            differentiable::<L, NoCheckpointing>(layer, inputs)
        }
        DispatchAutodiffContext::Enabled(GradientCheckpointingStrategy::Balanced) => {
            differentiable::<L, BalancedCheckpointing>(layer, inputs)
        }
    }
}

fn primitives<B: Backend>(tensors: Vec<DispatchTensor>) -> Option<Vec<FloatTensor<B>>>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    let convert = <DispatchTensor as DispatchKindConversion<B>>::try_into_backend;
    tensors.into_iter().map(|tensor| convert(tensor).ok().map(BackendTensor::float)).collect()
}

fn differentiable<L, C>(layer: L, inputs: Vec<DispatchTensor>) -> Option<DispatchTensor>
where
    L: Layer,
    C: CheckpointStrategy,
    DispatchTensor: DispatchKindConversion<Autodiff<Flex, C>>,
{
    let inputs = primitives::<Autodiff<Flex, C>>(inputs)?;
    let output = match inputs.len() {
        3 => track::<L, C, 3>(layer, inputs),
        4 => track::<L, C, 4>(layer, inputs),
        5 => track::<L, C, 5>(layer, inputs),
        6 => track::<L, C, 6>(layer, inputs),
        9 => track::<L, C, 9>(layer, inputs),
        10 => track::<L, C, 10>(layer, inputs),
        _ => return None,
    };
    Some(<DispatchTensor as DispatchKindConversion<Autodiff<Flex, C>>>::from_backend(BackendTensor::Float(output)))
}

/// The operation of a layer on the autodiff graph. Its state is kept by the graph.
#[derive(Debug)]
struct Node<L>(std::marker::PhantomData<fn() -> L>);

impl<L: Layer, const N: usize> Backward<Flex, N> for Node<L> {
    type State = (L, Vec<FlexTensor>, L::Saved);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (layer, inputs, saved) = ops.state;
        let needed = ops.parents.each_ref().map(Option::is_some);
        let input_gradients = layer.backward(&inputs, &saved, &gradient, &needed);
        for (parent, gradient) in ops.parents.into_iter().zip(input_gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Runs the layer and, where an input has a gradient, puts it on the graph.
fn track<L: Layer, C: CheckpointStrategy, const N: usize>(
    layer: L,
    inputs: Vec<FloatTensor<Autodiff<Flex, C>>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let primitives = contiguous(inputs.iter().map(|input| input.primitive().clone()).collect());
    let nodes: [NodeGuard; N] = std::array::from_fn(|i| inputs[i].node());
    drop(inputs);
    let node: Node<L> = Node(std::marker::PhantomData);
    let (output, saved) = layer.forward(&primitives);
    match Backward::<Flex, N>::prepare::<C>(node, nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((layer, primitives, saved), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

fn contiguous(tensors: Vec<FlexTensor>) -> Vec<FlexTensor> {
    tensors.into_iter().map(|tensor| tensor.to_contiguous()).collect()
}

/// A tensor of these values.
///
/// # Panics
/// The values do not fill the shape. Flex itself does not check that, and its products read through raw pointers as far
/// as the shape says.
pub(crate) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    assert_eq!(values.len(), shape.num_elements(), "{} values cannot fill the shape {shape:?}", values.len());
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}
