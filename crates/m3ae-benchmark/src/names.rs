//! Names of benchmarks, splits and protocols.

use m3ae_eval::Protocol;
use m3ae_prepare::SetName;

/// A benchmark: a data set with its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Benchmark {
    /// Questions about radiology images
    VqaRad,
    /// Questions about radiology images, English part
    Slake,
    /// Modality, plane and organ questions
    #[cfg_attr(feature = "clap", value(name = "vqa-med-2019"))]
    VqaMed2019,
    /// Classes of experiment methods from figures and captions
    Melinda,
    /// Retrieval between images and captions
    Roco,
    /// Questions about the synthetic data set, which is generated
    PhantomVqa,
}

impl Benchmark {
    /// All of them, as the paper orders them; the synthetic set last.
    pub const ALL: [Self; 6] =
        [Self::VqaRad, Self::Slake, Self::VqaMed2019, Self::Melinda, Self::Roco, Self::PhantomVqa];

    /// The data set.
    #[must_use]
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

    /// The name on the command line and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PhantomVqa => "phantom-vqa",
            Self::Roco => "roco",
            other => other.set().name(),
        }
    }
}

/// A split of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Split {
    /// The training split
    Train,
    /// The validation split, on which fine-tuning chooses its checkpoint
    Val,
    /// The test split, as in published results
    Test,
}

impl Split {
    /// The name in file names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// The protocol to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum ProtocolName {
    /// The protocol of the published numbers
    Published,
    /// Nothing of the test split is used before it is scored
    Clean,
}

impl ProtocolName {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Clean => "clean",
        }
    }
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Published => Self::Published,
            ProtocolName::Clean => Self::Clean,
        }
    }
}
