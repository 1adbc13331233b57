"""What a photo is worth: bicubic interpolation, no photo, the quick and the best preset.

python examples/compare_methods.py
"""

import numpy as np
import torch

import cmsr
from cmsr.app.demo.scene import street
from cmsr.io.image_files import from_array
from cmsr.operators.resampling import resampler

scene = street()
target, guide = scene.target[30:70, 60:116], scene.guide[120:280, 240:464]
reference = scene.truth[120:280, 240:464]
truth = from_array(reference, "truth")

bicubic = resampler(target.shape, reference.shape)(torch.from_numpy(target.astype(np.float32)))
images = {
    "bicubic": np.rint(bicubic.numpy()).astype(np.uint16),
    "no photo": cmsr.upscale(target, ratio=4).image,
    "fast": cmsr.upscale(target, guide, preset="fast").image,
    "default": cmsr.upscale(target, guide).image,
}
for name, image in images.items():
    figures = cmsr.evaluate(from_array(image, name), truth)
    kelvin = figures["rmse"] / 100
    print(f"{name:10} PSNR {figures['psnr']:5.2f} dB  SSIM {figures['ssim']:.3f}  {kelvin:.2f} K")
