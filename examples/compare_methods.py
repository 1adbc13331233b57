"""What a photo is worth: bicubic interpolation, no photo, the quick and the best preset.

python examples/compare_methods.py
"""

import numpy as np
import torch

import cmsr
from cmsr.app.demo.scene import render
from cmsr.io.image_files import from_array
from cmsr.operators.resampling import resampler

scene = render(seed=1, height=120, width=160)
truth = from_array(scene.truth, "truth")
small, full = scene.target.shape, scene.truth.shape

bicubic = resampler(small, full)(torch.from_numpy(scene.target.astype(np.float32)))
images = {
    "bicubic": np.rint(bicubic.numpy()).astype(np.uint16),
    "no photo": cmsr.upscale(scene.target, ratio=4).image,
    "fast": cmsr.upscale(scene.target, scene.guide, preset="fast").image,
    "default": cmsr.upscale(scene.target, scene.guide).image,
}
for name, image in images.items():
    figures = cmsr.evaluate(from_array(image, name), truth)
    kelvin = figures["rmse"] / 100
    print(f"{name:10} PSNR {figures['psnr']:5.2f} dB  SSIM {figures['ssim']:.3f}  {kelvin:.2f} K")
