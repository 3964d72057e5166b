//! One sum of gradients over all devices, by a reducer such as the backend's collectives.
//!
//! Gradients are laid end to end in flat buckets, in the model's order: few large transfers instead of hundreds of
//! small ones, and as many elements on each device whatever the layout of its gradients.

use std::fmt::Debug;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::distributed::{ReduceOperation, all_reduce};
use m3ae_model::M3ae;

use super::barrier::ParamsWithGrad;

/// Elements of a bucket, at least: 128 MiB on a device; small in tests, for several of them.
const BUCKET: usize = if cfg!(test) { 1 << 10 } else { 1 << 25 };

/// Gives the sum once the device has it.
pub(super) type Finish = Box<dyn FnOnce() -> Tensor<1>>;

/// Sums flat tensors over the devices of a run.
pub(super) trait Reducer: Debug + Send + Sync {
    /// Starts a sum to which device `number` adds `part`. Every device calls this, from its own thread, for its parts
    /// in the same order; the part's memory belongs to the sum from then on.
    fn start(&self, number: usize, part: Tensor<1>) -> Finish;
}

/// Burn's all-reduce between these devices: NCCL's, on CUDA.
#[derive(Debug)]
pub(super) struct Collectives(pub Vec<Device>);

impl Reducer for Collectives {
    fn start(&self, _number: usize, part: Tensor<1>) -> Finish {
        let sum = all_reduce(part, ReduceOperation::Sum, self.0.clone());
        Box::new(move || sum.resolve())
    }
}

/// Which parameters have a gradient.
pub(super) fn params_with_grad(model: &M3ae, gradients: &GradientsParams) -> ParamsWithGrad {
    struct Look<'a>(&'a GradientsParams, ParamsWithGrad);
    impl ModuleVisitor for Look<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0.get::<D>(param.id).is_some() {
                self.1.insert(param.id);
            }
        }
    }
    let mut look = Look(gradients, ParamsWithGrad::new());
    model.visit(&mut look);
    look.1
}

/// Sums that were started: all of them before the first is waited for.
pub(super) struct Started(Vec<(Finish, Vec<usize>)>);

impl Started {
    /// The sums, one flat tensor per parameter. To be called on every device: until then its part is in use.
    pub(super) fn wait(self) -> Vec<Tensor<1>> {
        let mut parts = Vec::new();
        for (finish, lengths) in self.0 {
            let (bucket, mut begin) = (finish(), 0);
            for length in lengths {
                parts.push(bucket.clone().narrow(0, begin, length));
                begin += length;
            }
        }
        parts
    }
}

/// Starts the sum of these parameters' gradients; device `number` counts as zero where it has none.
pub(super) fn start(
    model: &M3ae,
    gradients: GradientsParams,
    params: &ParamsWithGrad,
    device: &Device,
    number: usize,
    reducer: &dyn Reducer,
) -> Started {
    let (left, device) = (params.clone(), device.clone().inner());
    let mut pack = Pack { gradients, left, device, bucket: Vec::new(), lengths: Vec::new(), full: Vec::new() };
    model.visit(&mut pack);
    pack.close();
    Started(pack.full.into_iter().map(|(part, lengths)| (reducer.start(number, part), lengths)).collect())
}

struct Pack {
    gradients: GradientsParams,
    /// Not met yet: a parameter with two names is visited twice.
    left: ParamsWithGrad,
    device: Device,
    bucket: Vec<Tensor<1>>,
    lengths: Vec<usize>,
    full: Vec<(Tensor<1>, Vec<usize>)>,
}

impl Pack {
    fn close(&mut self) {
        if !self.bucket.is_empty() {
            let part = Tensor::cat(std::mem::take(&mut self.bucket), 0);
            self.full.push((part, std::mem::take(&mut self.lengths)));
        }
    }
}

impl ModuleVisitor for Pack {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.left.remove(&param.id) {
            return;
        }
        let count = param.val().shape().num_elements();
        let gradient = self.gradients.remove::<D>(param.id).map(|gradient| gradient.reshape([count]));
        self.bucket.push(gradient.unwrap_or_else(|| Tensor::zeros([count], &self.device)));
        self.lengths.push(count);
        if self.lengths.iter().sum::<usize>() >= BUCKET {
            self.close();
        }
    }
}

/// Gradients from what [`Started::wait`] gave.
pub(super) fn unpack(model: &M3ae, params: ParamsWithGrad, parts: Vec<Tensor<1>>) -> GradientsParams {
    let mut unpack = Unpack { left: params, parts: parts.into_iter(), gradients: GradientsParams::new() };
    model.visit(&mut unpack);
    unpack.gradients
}

struct Unpack {
    left: ParamsWithGrad,
    parts: std::vec::IntoIter<Tensor<1>>,
    gradients: GradientsParams,
}

impl ModuleVisitor for Unpack {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.left.remove(&param.id)
            && let Some(part) = self.parts.next()
        {
            self.gradients.register::<D>(param.id, part.reshape(param.val().shape()));
        }
    }
}
