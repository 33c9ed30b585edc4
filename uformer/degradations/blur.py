"""Blur: camera shake, measured kernels and defocus, in linear light, where a sensor adds light up.

Images are float32 (H, W, 3), sRGB in [0, 1], in and out. Every function is pure and seeded by its `rng`. A
kernel is float32 (k, k) with odd k, is not negative, and sums to one. An image is mirrored beyond its border.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.degradations.noise import check_ranges
from uformer.degradations.tables import levin_kernels
from uformer.image.color import linear_to_srgb, srgb_to_linear
from uformer.image.image import Pixels

Kernel = NDArray[np.float32]
Path = NDArray[np.complex128]
"""Positions of an image point at equally spaced moments of the exposure, (T,): x + iy in pixels, y down."""


def shake(
    clean: Pixels,
    rng: Generator,
    *,
    length: float,
    anxiety: float = 0.1,
    roll: float = 0.0,
    near: float = 1.0,
    nodes: int = 3,
) -> Pixels:
    """Return an image as a hand-held camera blurs it: each point is smeared along a random path.

    - `length`: length of the path in pixels, 0 to 1000.
    - `anxiety`: 0 for a steady drift, 1 for a trembling hand.
    - `roll`: rotation of the camera about its axis during the exposure, in degrees, 0 to 45.
    - `near`: ratio of the longest to the shortest path in the image, 1 to 10, as on a ground that recedes;
      `length` is the longest.
    - `nodes`: if the blur varies over the image, it is computed at nodes x nodes points, 2 to 32, and
      interpolated between them (Nagy & O'Leary 1998).

    Sources: Boracchi & Foi, IEEE TIP 2012; Kupyn et al., CVPR 2018, algorithm 1. Raises ValueError for a
    value out of range.
    """
    check_ranges(
        "shake",
        length=(length, 0, 1000),
        anxiety=(anxiety, 0, 1),
        roll=(roll, 0, 45),
        near=(near, 1, 10),
        nodes=(nodes, 2, 32),
    )
    path = trajectory(rng, length=length, anxiety=anxiety)
    if roll == 0 and near == 1:
        return blur(clean, kernel_of(path))
    turn = np.deg2rad(roll) * (
        np.linspace(-0.5, 0.5, len(path)) if rng.random() < 0.5 else np.linspace(0.5, -0.5, len(path))
    )
    slope = rng.uniform(0, 2 * np.pi)
    reach = abs(np.cos(slope)) + abs(np.sin(slope))
    height, width = clean.shape[:2]

    def kernel_at(column: float, row: float) -> Kernel:
        nearness = (column * np.cos(slope) + row * np.sin(slope)) / reach + 0.5  # 0 to 1
        return kernel_of(
            path * near ** (nearness - 1) + (column * width + 1j * row * height) * np.expm1(1j * turn)
        )

    places = np.linspace(-0.5, 0.5, nodes)
    kernels = [[kernel_at(column, row) for column in places] for row in places]
    return linear_to_srgb(np.clip(convolve_unevenly(srgb_to_linear(np.clip(clean, 0, 1)), kernels), 0, 1))


def _hat(nodes: int, node: int, side: int) -> NDArray[np.float32]:
    """Return the weight of a node in each of `side` pixels: 1 at the node, 0 at its neighbours."""
    at = np.linspace(0, nodes - 1, side)
    return np.maximum(1 - np.abs(at - node), 0).astype(np.float32)


def trajectory(rng: Generator, *, length: float, anxiety: float, moments: int = 96) -> Path:
    """Return a random path of a given length in pixels, with its mean at 0.

    The path has inertia, a pull back to the start, tremor, and occasional jerks that reverse it.
    """
    speed = np.exp(2j * np.pi * rng.random())
    tremor = anxiety * 0.7 * (rng.standard_normal(moments) + 1j * rng.standard_normal(moments)) * np.sqrt(0.5)
    jerks = rng.random(moments) < 0.05 * anxiety
    turns = np.exp(1j * (np.pi + rng.uniform(-0.5, 0.5, moments)))
    bend = rng.normal(0, 1.2) / moments  # a steady hand draws an arc
    pull = anxiety * rng.uniform(0, 0.7) / moments
    path = np.zeros(moments, complex)
    for moment in range(1, moments):
        speed = speed * np.exp(1j * bend) + tremor[moment] - pull * path[moment - 1]
        if jerks[moment]:
            speed += 2 * speed * turns[moment]
        speed /= max(abs(speed), 1e-6)
        path[moment] = path[moment - 1] + speed
    path *= length / (moments - 1)
    return path - path.mean()


def kernel_of(path: Path) -> Kernel:
    """Return the kernel that smears a point along a path; four pixels share each moment."""
    # Samples lie at most half a pixel apart, so that a long path has no gaps.
    steps = max(1, int(np.ceil(np.abs(np.diff(path)).max() * 2))) if len(path) > 1 else 1
    fine = np.interp(np.arange((len(path) - 1) * steps + 1) / steps, np.arange(len(path)), path)
    return splat(fine)


def splat(points: Path, weights: NDArray[np.float32] | float = 1.0) -> Kernel:
    """Return the kernel with these weights at these points, each shared by the four nearest pixels."""
    radius = int(np.ceil(max(np.abs(points.real).max(), np.abs(points.imag).max()))) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    left, top = np.floor(points.real), np.floor(points.imag)
    right_share, lower_share = points.real - left, points.imag - top
    for down in (0, 1):
        for right in (0, 1):
            share = (lower_share if down else 1 - lower_share) * (right_share if right else 1 - right_share)
            np.add.at(
                kernel, (top.astype(int) + radius + down, left.astype(int) + radius + right), share * weights
            )
    return (kernel / kernel.sum()).astype(np.float32)


def levin(clean: Pixels, rng: Generator, *, scale: float = 1.0) -> Pixels:
    """Return an image blurred by one of Levin's eight measured kernels, rotated and mirrored at random.

    The kernels are 13 to 27 pixels wide; `scale` resizes them, 0.1 to 10. Raises ValueError for a value out
    of range.
    """
    check_ranges("levin", scale=(scale, 0.1, 10))
    kernels = levin_kernels()
    kernel = kernels[rng.integers(len(kernels))]
    kernel = np.rot90(kernel.T if rng.random() < 0.5 else kernel, int(rng.integers(4)))
    if scale != 1:
        middle, parts = kernel.shape[0] // 2, int(np.ceil(scale))
        ys, xs = np.nonzero(kernel)
        # An enlarged tap covers more than one pixel, so it is split into parts that leave no gaps.
        within = (np.arange(parts) + 0.5) / parts - 0.5
        points = ((xs - middle) + 1j * (ys - middle))[:, None, None] + within + 1j * within[:, None]
        kernel = splat((points * scale).ravel(), np.repeat(kernel[ys, xs], parts**2))
    return blur(clean, kernel)


def defocus(clean: Pixels, rng: Generator, *, radius: float, blades: int = 0) -> Pixels:
    """Return an image as a lens out of focus blurs it.

    The kernel is a disc of `radius` pixels, 0 to 500, or a randomly rotated polygon: the aperture of a lens
    with `blades` blades (3 to 20). Raises ValueError for a value out of range.
    """
    check_ranges("defocus", radius=(radius, 0, 500), blades=(blades or 3, 3, 20))
    return blur(clean, defocus_kernel(radius, blades=blades, turn=rng.uniform(0, 2 * np.pi)))


def defocus_kernel(radius: float, *, blades: int = 0, turn: float = 0.0) -> Kernel:
    """Return a disc of `radius` pixels with a soft border of one pixel, or the regular polygon inside it."""
    reach = int(np.ceil(radius)) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    distance = np.hypot(rows, columns)
    if blades:
        half = np.pi / blades
        angle = (np.arctan2(rows, columns) + turn) % (2 * half) - half
        distance = distance * np.cos(angle) / np.cos(half)
    kernel = np.clip(radius + 0.5 - distance, 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def blur(clean: Pixels, kernel: Kernel) -> Pixels:
    """Convolve an image with a kernel in linear light. The result is clipped to [0, 1]."""
    return linear_to_srgb(np.clip(convolve(srgb_to_linear(np.clip(clean, 0, 1)), kernel), 0, 1))


def convolve(linear: Pixels, kernel: Kernel) -> Pixels:
    """Convolve (H, W, C) with a kernel. The image is mirrored beyond its border."""
    return convolve_unevenly(linear, [[kernel]])


def convolve_unevenly(linear: Pixels, kernels: Sequence[Sequence[Kernel]]) -> Pixels:
    """Convolve (H, W, C) with n x n kernels, given by rows, at points spread evenly from border to border.

    The results are interpolated between these points (Nagy & O'Leary 1998) and computed by Fourier transform.
    The image is mirrored beyond its border.
    """
    (height, width), nodes = linear.shape[:2], len(kernels)
    radius = max(kernel.shape[0] // 2 for row in kernels for kernel in row)
    padded = np.pad(linear.transpose(2, 0, 1), ((0, 0), (radius, radius), (radius, radius)), mode="symmetric")
    shape = tuple(fast_length(side) for side in padded.shape[1:])
    spectrum, total = np.fft.rfft2(padded, shape), np.zeros((linear.shape[2], height, width), np.float32)
    for row, column in np.ndindex(nodes, nodes):
        kernel = kernels[row][column]
        first = radius + kernel.shape[0] // 2
        there = np.fft.irfft2(spectrum * np.fft.rfft2(kernel, shape), shape)[
            :, first : first + height, first : first + width
        ]
        total += there * (_hat(nodes, row, height)[:, None] * _hat(nodes, column, width))
    return np.ascontiguousarray(total.transpose(1, 2, 0))


def fast_length(side: int) -> int:
    """Return the next length without a prime factor above 5; Fourier transforms of such lengths are fast."""
    while True:
        rest = side
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return side
        side += 1
