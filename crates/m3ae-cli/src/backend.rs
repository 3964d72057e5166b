//! The device that a command computes on, chosen by name among the backends that this binary was built with.

use anyhow::{Result, bail};
use burn::prelude::Device;
use clap::ValueEnum;

/// Backends by the name of their cargo feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// CPU, Burn's own backend (default)
    Flex,
    /// CPU, the older backend
    Ndarray,
    /// GPU through the platform's graphics API
    Wgpu,
    /// GPU through Vulkan
    Vulkan,
    /// GPU through Metal
    Metal,
    /// NVIDIA GPU
    Cuda,
    /// AMD GPU
    Rocm,
}

impl Backend {
    /// The backend's first `count` devices. A CPU backend has any number of devices; each is a thread.
    pub fn devices(self, count: usize) -> Result<Vec<Device>> {
        (0..count).map(|number| self.numbered(number)).collect()
    }

    /// Whether it computes on the CPU.
    pub fn is_processor(self) -> bool {
        matches!(self, Self::Flex | Self::Ndarray)
    }

    /// Whether Burn's collective operations work on its devices: only on CUDA with NCCL.
    pub fn has_collectives(self) -> bool {
        #[cfg(feature = "cuda")]
        if self == Self::Cuda {
            return burn::cubecl::Device::cuda(0).is_ok_and(|device| device.client().has_device_transport());
        }
        false
    }

    fn numbered(self, number: usize) -> Result<Device> {
        if number == 0 || self.is_processor() {
            return self.device();
        }
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => {
                // Burn itself would panic when the device is first used.
                let found = burn::cubecl::Device::cuda(number);
                Ok(Device::new(found.map_err(|problem| anyhow::anyhow!("train.devices: {problem}"))?))
            }
            #[cfg(feature = "rocm")]
            Self::Rocm => Ok(Device::rocm(burn::tensor::DeviceIndex::Specified(number))),
            other => {
                bail!(
                    "train.devices: the `{}` backend has one device here; several need cuda, rocm or a CPU backend",
                    other.name()
                )
            }
        }
    }

    /// The backend's first device.
    pub fn device(self) -> Result<Device> {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated)] // Burn prefers Flex; the backend stays selectable to compare with.
            Self::Ndarray => Ok(Device::ndarray()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::default())),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::default())),
            #[cfg(feature = "metal")]
            Self::Metal => Ok(Device::metal(burn::tensor::DeviceKind::default())),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(burn::tensor::DeviceIndex::Default)),
            #[cfg(feature = "rocm")]
            Self::Rocm => Ok(Device::rocm(burn::tensor::DeviceIndex::Default)),
            #[allow(unreachable_patterns)] // Unless all features are on.
            other => {
                let name = other.name();
                bail!(
                    "this binary was built without the `{name}` backend; \
                     `cargo xtask <command> --backend {name}` builds one with it"
                )
            }
        }
    }

    /// The name of its cargo feature, as typed after `--backend`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "flex")]
    fn a_cpu_backend_has_any_number_of_devices() {
        assert_eq!(Backend::Flex.devices(3).unwrap().len(), 3);
    }

    #[test]
    fn processors_have_no_collectives() {
        assert!(!Backend::Flex.has_collectives() && !Backend::Ndarray.has_collectives());
    }

    #[test]
    #[cfg(not(feature = "rocm"))]
    fn a_backend_that_was_not_built_in_says_how_to_get_it() {
        let message = Backend::Rocm.device().unwrap_err().to_string();
        assert!(message.contains("cargo xtask <command> --backend rocm"), "{message}");
    }
}
