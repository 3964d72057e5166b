//! Which states of the fusion to compute, and the answer.

use std::fmt::Debug;
use std::ops::{Bound, Range, RangeBounds};

use burn::prelude::*;

/// The states that [`M3ae::fuse`](crate::M3ae::fuse) gives, and for which pairs of the batch. The last layer computes
/// only these. For [`pooled`](Self::pooled) features it computes only the first tokens, since the poolers read no
/// others (Swin's image pooler reads the mean over all tokens, so there it computes them all).
///
/// The request's type records what was asked for: [`FusionOutput`] has a tensor for each state that was, and `()` for
/// each that was not.
///
/// ```
/// use m3ae_model::FusionRequest;
///
/// let everything = FusionRequest::new().text(..).image(..).pooled(..);
/// // Pre-training: the text tokens of the first 16 pairs, the pooled features of the others.
/// let pretraining = FusionRequest::new().text(..16).pooled(16..);
/// // Masked image modelling: the image tokens after three layers.
/// let masked_images = FusionRequest::new().depth(3).image(..);
/// # let _ = (everything, pretraining, masked_images);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct FusionRequest<T = Nothing, I = Nothing, P = Nothing> {
    pub(crate) depth: Option<usize>,
    pub(crate) text: T,
    pub(crate) image: I,
    pub(crate) pooled: P,
    pub(crate) attention: bool,
}

impl FusionRequest {
    /// Asks for nothing yet, after all layers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<T, I, P> FusionRequest<T, I, P> {
    /// Runs only the first `layers` layers (all of them, if there are fewer).
    #[must_use]
    pub fn depth(self, layers: usize) -> Self {
        Self { depth: Some(layers), ..self }
    }

    /// Also gives the attention maps of every layer that runs. They are large, and the last layer is then computed
    /// whole.
    #[must_use]
    pub fn attention(self) -> Self {
        Self { attention: true, ..self }
    }

    /// Gives the text tokens of these pairs.
    #[must_use]
    pub fn text(self, pairs: impl RangeBounds<usize>) -> FusionRequest<Pairs, I, P> {
        let Self { depth, image, pooled, attention, .. } = self;
        FusionRequest { depth, text: Pairs::new(pairs), image, pooled, attention }
    }

    /// Gives the image tokens of these pairs.
    #[must_use]
    pub fn image(self, pairs: impl RangeBounds<usize>) -> FusionRequest<T, Pairs, P> {
        let Self { depth, text, pooled, attention, .. } = self;
        FusionRequest { depth, text, image: Pairs::new(pairs), pooled, attention }
    }

    /// Gives the pooled features of these pairs.
    #[must_use]
    pub fn pooled(self, pairs: impl RangeBounds<usize>) -> FusionRequest<T, I, Pairs> {
        let Self { depth, text, image, attention, .. } = self;
        FusionRequest { depth, text, image, pooled: Pairs::new(pairs), attention }
    }
}

/// What the fusion gives: a tensor for each state that the [`FusionRequest`] names, `()` for each that it does not. B
/// is the number of pairs that were asked for.
#[derive(Debug, Clone)]
pub struct FusionOutput<T = (), I = (), P = ()> {
    /// Text tokens after the last layer that ran, `[B, L, D]`.
    pub text: T,
    /// Image tokens after the last layer that ran, `[B, 1+K, D]`.
    pub image: I,
    /// concat(pooled text, pooled image), `[B, 2D]`.
    pub pooled: P,
    /// Attention maps of all pairs, layer by layer; empty unless asked for.
    pub attention: Vec<CoAttentionMaps>,
}

/// Attention probabilities of one co-attention layer, each `[B, heads, Lq, Lk]`.
#[derive(Debug, Clone)]
pub struct CoAttentionMaps {
    /// Text over text.
    pub text_self: Tensor<4>,
    /// Text over image.
    pub text_to_image: Option<Tensor<4>>,
    /// Image over image.
    pub image_self: Tensor<4>,
    /// Image over text.
    pub image_to_text: Option<Tensor<4>>,
}

/// A [`FusionOutput`] that has everything but attention maps.
pub type FusedStates = FusionOutput<Tensor<3>, Tensor<3>, Tensor<2>>;

/// A state that was not asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

/// The pairs of a batch whose state was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Pairs {
    start: usize,
    /// Without: to the end of the batch.
    end: Option<usize>,
}

impl Pairs {
    fn new(pairs: impl RangeBounds<usize>) -> Self {
        let start = match pairs.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start + 1,
            Bound::Unbounded => 0,
        };
        let end = match pairs.end_bound() {
            Bound::Included(&end) => Some(end + 1),
            Bound::Excluded(&end) => Some(end),
            Bound::Unbounded => None,
        };
        Self { start, end }
    }

    /// The pairs' numbers in a batch of this size.
    fn of(self, batch: usize) -> Range<usize> {
        let pairs = self.start..self.end.unwrap_or(batch);
        assert!(pairs.start <= pairs.end && pairs.end <= batch, "pairs {pairs:?} were asked for in a batch of {batch}");
        pairs
    }
}

/// Whether a state is asked for: [`Nothing`] or [`Pairs`].
pub trait Wanted: Copy + Debug {
    /// `X` where the state is asked for, else `()`.
    type Given<X>;

    /// Computes the state, if it is asked for.
    #[doc(hidden)]
    fn give<X>(self, batch: usize, state: impl FnOnce(Range<usize>) -> X) -> Self::Given<X>;

    /// The part `pairs` of a state that was given before and has all of them.
    #[doc(hidden)]
    fn part(self, batch: usize, given: &Self::Given<Tensor<3>>, pairs: &Range<usize>) -> Option<Tensor<3>>;
}

impl Wanted for Nothing {
    type Given<X> = ();

    fn give<X>(self, _batch: usize, _state: impl FnOnce(Range<usize>) -> X) {}

    fn part(self, _batch: usize, _given: &(), _pairs: &Range<usize>) -> Option<Tensor<3>> {
        None
    }
}

impl Wanted for Pairs {
    type Given<X> = X;

    fn give<X>(self, batch: usize, state: impl FnOnce(Range<usize>) -> X) -> X {
        state(self.of(batch))
    }

    fn part(self, batch: usize, given: &Tensor<3>, pairs: &Range<usize>) -> Option<Tensor<3>> {
        let has = self.of(batch);
        let within = has.start <= pairs.start && pairs.end <= has.end;
        within.then(|| narrow(given, &(pairs.start - has.start..pairs.end - has.start)))
    }
}

/// `rows` of the first axis; the tensor itself where these are all.
pub(super) fn narrow<const D: usize>(x: &Tensor<D>, rows: &Range<usize>) -> Tensor<D> {
    match *rows == (0..x.dims()[0]) {
        true => x.clone(),
        false => x.clone().narrow(0, rows.start, rows.len()),
    }
}
