//! Weights in and out: reads PyTorch and safetensors checkpoints into the model strictly, writes safetensors under the reference's names.
