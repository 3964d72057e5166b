//! Names of benchmarks, splits and protocols.

use clap::ValueEnum;
use m3ae_eval::Protocol;
use m3ae_prepare::SetName;

/// What a model can be scored on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Benchmark {
    /// Questions about radiology images
    VqaRad,
    /// Questions about radiology images, English part
    Slake,
    /// Modality, plane and organ questions
    #[value(name = "vqa-med-2019")]
    VqaMed2019,
    /// Classes of experiment methods from figures and captions
    Melinda,
    /// Which caption belongs to which image, and the reverse
    Roco,
    /// Questions about the synthetic set: runs anywhere
    PhantomVqa,
}

impl Benchmark {
    /// The data set.
    pub fn set(self) -> SetName {
        match self {
            Self::VqaRad => SetName::VqaRad,
            Self::Slake => SetName::Slake,
            Self::VqaMed2019 => SetName::VqaMed2019,
            Self::Melinda => SetName::Melinda,
            Self::Roco => SetName::IrtrRoco,
            Self::PhantomVqa => SetName::Phantom,
        }
    }

    /// As commands and published tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PhantomVqa => "phantom-vqa",
            Self::Roco => "roco",
            other => other.set().name(),
        }
    }
}

/// A split of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// What models learn from
    Train,
    /// What fine-tuning chooses its checkpoint on
    Val,
    /// What is reported
    Test,
}

impl Split {
    /// As files name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// A protocol that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProtocolName {
    /// As published numbers are made
    Published,
    /// Nothing of the test is known before it
    Clean,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Published => Self::Published,
            ProtocolName::Clean => Self::Clean,
        }
    }
}
