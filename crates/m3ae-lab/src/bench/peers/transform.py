"""The files of a list through Pillow and CLIP's transform, on one core.

    python transform.py <side> <list of files>

The usual way to the vision encoder: opened as RGBA, the shorter side resized to <side> (bicubic), the middle cut out, alpha dropped,
normalised. With torchvision's transforms where it can be imported, else with numpy. Prints JSON: seconds on the core, a mean of each image.
"""
import json
import sys
import time

import numpy
import PIL
from PIL import Image

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
side = int(sys.argv[1])
with open(sys.argv[2], encoding="utf-8") as file:
    paths = file.read().split("\n")
libraries = f"Pillow {PIL.__version__}"

try:
    import torch
    import torchvision
    from torchvision import transforms

    torch.set_num_threads(1)
    libraries += f", torchvision {torchvision.__version__}"
    transform = transforms.Compose([
        transforms.Resize(side, interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(side),
        transforms.Lambda(lambda image: image.convert("RGB")),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])
except ImportError:
    libraries += f", numpy {numpy.__version__}"
    mean, std = numpy.array(MEAN, numpy.float32), numpy.array(STD, numpy.float32)

    def transform(image):
        width, height = image.size
        short = min(width, height)
        width, height = int(side * width / short), int(side * height / short)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - side) / 2), round((height - side) / 2)
        image = image.crop((left, top, left + side, top + side)).convert("RGB")
        values = (numpy.asarray(image, numpy.float32) / 255 - mean) / std
        return numpy.ascontiguousarray(values.transpose(2, 0, 1))


def read(path):
    with Image.open(path) as image:
        return transform(image.convert("RGBA"))


read(paths[0])  # Imports and tables that are made on first use.
begun, means = time.thread_time(), []
for path in paths:
    means.append(float(read(path).reshape(-1)[::64].mean()))  # Of 64 values one, as the other side does.
print(json.dumps({"libraries": libraries, "seconds": time.thread_time() - begun, "means": means}))
