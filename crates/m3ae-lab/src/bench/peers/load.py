"""Opens a checkpoint in PyTorch into fresh parameters, as load_state_dict does.

    python load.py <file>

Prints JSON: seconds, peak memory in bytes, parameters in millions.
"""
import json
import resource
import sys
import time

import torch

path = sys.argv[1]
load_file = None
if path.endswith(".safetensors"):
    try:
        from safetensors.torch import load_file
    except ImportError:
        sys.exit("this Python cannot read safetensors: pip install safetensors")

begun = time.perf_counter()
stored = load_file(path) if load_file else torch.load(path, map_location="cpu", weights_only=True)
stored = stored.get("state_dict", stored)
parameters = {}
for name, tensor in stored.items():
    parameters[name] = torch.empty(tensor.shape, dtype=torch.float32 if tensor.is_floating_point() else tensor.dtype)
    parameters[name].copy_(tensor)
seconds = time.perf_counter() - begun
millions = sum(tensor.numel() for tensor in parameters.values()) / 1e6
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": [seconds], "peak": peak, "parameters": millions}))
