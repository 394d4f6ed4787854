"""Weights, images and uniforms by a formula, so that no file of them has to travel with the golden values.

Every number comes from one integer hash, and `test/golden/formula.ts` computes the same ones bit for bit:

    x = (i * 0x9E3779B9 + salt) mod 2^32                          i: position in the flattened tensor, row-major
    x ^= x >> 16;  x = x * 0x85EBCA6B mod 2^32;  x ^= x >> 13;    (MurmurHash3's 32-bit finalizer)
    x = x * 0xC2B2AE35 mod 2^32;  x ^= x >> 16
    value(i, salt) = (x >> 8) / 2^24                              in [0, 1), exact in float32

A network's tensor with index k in the order of PyTorch's `state_dict` (buffers counted) has the salt `base + k`. Its
element i, computed in float64 from left to right and rounded once to float32:

    convolution weight [O, I, H, W]    (value - 0.5) * (2 * sqrt(3) * sqrt(2 / (O * H * W)))    He, fan-out, uniform
        depthwise (I = 1)              the same with 1 in the place of O
    linear weight [O, I]               (value - 0.5) * (2 * sqrt(3) * (1 / sqrt(I)))
    batch-norm weight                  0.4 + value * 0.4
    batch-norm bias                    ±(0.6 + 1.2 * |value - 0.5|), negative where value < 0.5
    linear bias                        (value - 0.5) * 0.5
    running_mean                       (value - 0.5) * 0.2
    running_var                        0.5 + value
    num_batches_tracked                0

A batch norm is one whose module's name starts with `bn` or `_bn`. Its biases are about two times its weights, so that few inputs
of a ReLU lie near 0: where they do, another order of summation opens or closes a unit, and gradients of a network of
this depth then differ by percents. Weights below 1 keep the logits of evaluation mode small.

Images are bytes [B, S, S, 3]: noise, a tint for each of the 4 × 4 patches and one of 8 colours for the image, since
images of noise alone look alike to every network. With b the image, c the channel, i the position of the byte and
j = ((b * 4 + floor(4y / S)) * 4 + floor(4x / S)) * 3 + c:

    byte = floor(256 * (0.125 * value(i, salt) + 0.125 * value(j, salt + 1) + 0.75 * [value(3b + c, salt + 2) >= 0.5]))
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

# Salts. A network's own are its base + the index of the tensor.
# The networks' bases were found by search: most such classifiers predict the same whatever the mask. TRAINED does not in
# training mode, EVALUATED does not in evaluation mode, and the policy's greedy masks differ between images.
TRAINED = 68_000
EVALUATED = 24_000
POLICY = 231_000
LOW_RESOLUTION = 120_000
IMAGES = 10  # and 11, 12
UNIFORMS = 30  # + the number of the step, from 0
METHOD_LOGITS = 60
METHOD_UNIFORMS = 61
CHECKSUM = 40
LABELS = 50  # the benchmark's: floor(10 * value)


def values(count: int, salt: int) -> np.ndarray:
    """`value(i, salt)` for i in 0 … count - 1, float64."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(salt)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float64) / 2**24


def weights(name: str, shape: Sequence[int], salt: int) -> Tensor:
    """The tensor that the state dict holds under `name`; float32, but int64 for `num_batches_tracked`."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    value = values(math.prod(shape), salt)
    batch_norm = name.split(".")[-2].lstrip("_").startswith("bn")
    if len(shape) == 4:
        out, inputs, height, width = shape
        out = 1 if inputs == 1 else out
        value = (value - 0.5) * (2 * math.sqrt(3) * math.sqrt(2 / (out * height * width)))
    elif len(shape) == 2:
        value = (value - 0.5) * (2 * math.sqrt(3) * (1 / math.sqrt(shape[1])))
    elif name.endswith("running_mean"):
        value = (value - 0.5) * 0.2
    elif name.endswith("running_var"):
        value = 0.5 + value
    elif batch_norm and name.endswith("weight"):
        value = 0.4 + value * 0.4
    elif batch_norm:
        value = np.where(value < 0.5, -1, 1) * (0.6 + 1.2 * np.abs(value - 0.5))
    else:
        value = (value - 0.5) * 0.5
    return torch.from_numpy(value.astype(np.float32)).reshape(tuple(shape))


def fill(network: nn.Module, base: int) -> nn.Module:
    """Gives `network` the formula's weights, salts from `base` on, and returns it."""
    state = network.state_dict()
    network.load_state_dict({n: weights(n, t.shape, base + k) for k, (n, t) in enumerate(state.items())})
    return network


def images(count: int, size: int = 32, salt: int = IMAGES) -> Tensor:
    """Bytes [count, size, size, 3]: rows, columns, RGB; `size` is a multiple of 4."""
    noise = values(count * size * size * 3, salt).reshape(count, size, size, 3)
    patches = values(count * 4 * 4 * 3, salt + 1).reshape(count, 4, 4, 3).repeat(size // 4, 1).repeat(size // 4, 2)
    whole = (values(count * 3, salt + 2) >= 0.5).reshape(count, 1, 1, 3)
    return torch.from_numpy(np.floor(256 * (0.125 * noise + 0.125 * patches + 0.75 * whole)).astype(np.uint8))


def uniforms(count: int, patches: int, salt: int) -> Tensor:
    """Float32 [count, patches] in [0, 1)."""
    return torch.from_numpy(values(count * patches, salt).astype(np.float32)).reshape(count, patches)
