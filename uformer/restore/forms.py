"""Converts arrays, tensors and Pillow images to values (H, W, C), and back to the same form.

The values of uint8 and uint16 are scaled to [0, 1]. Those of other types stay as they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from uformer.errors import OptionError, PictureError
from uformer.image.formats import RAW, can_write, output_suffix, read_only
from uformer.image.image import Image
from uformer.image.samples import Values, depth_of, from_own_values, has_white
from uformer.image.samples import values_of as values_of_samples
from uformer.image.stored import StoredImage
from uformer.output import check_output

if TYPE_CHECKING:
    import PIL.Image
    import torch

Restore = Callable[[NDArray[Any], int], NDArray[Any]]
"""Takes values (H, W, C) and their bit depth (8, 16, or 32 without a white), and returns restored values.

The values are as `to_values` returns them; with `samples`, they are of the type of the image, and the depth
is the number of bits that samples use.
"""


_PIL_MODES = {  # in -> out
    "1": "L",
    "L": "L",
    "LA": "LA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "RGBX": "RGB",
    "P": "RGB",
    "PA": "RGBA",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
    "LAB": "RGB",
    "I;16": "I;16",
    "I;16B": "I;16",
    "I;16L": "I;16",
    "I;16N": "I;16",
    "I": "I",
    "F": "F",
}


def is_tensor(value: object) -> TypeGuard[torch.Tensor]:
    """Whether a value is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_pil(value: object) -> TypeGuard[PIL.Image.Image]:
    """Whether a value is a Pillow image, without importing Pillow."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def through_array(
    array: NDArray[Any], restore: Restore, *, channels: int = 3, samples: bool = False
) -> NDArray[Any]:
    """Restore (H, W) or (H, W, C) of any type of integers or floats.

    A second or fourth channel is alpha and stays unchanged. `channels`: the network's number of channels; an
    array with that number has no alpha. A masked array or np.matrix becomes a plain array. Raises
    PictureError for other shapes and types.
    """
    array = np.asarray(array)  # subclasses of ndarray index and compute in other ways
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise PictureError(f"an array of shape {array.shape} is not an image; expected (H, W) or (H, W, C)")
    colours = array if array.ndim == 3 else array[..., None]
    if colours.shape[2] != channels and colours.shape[2] not in (1, 2, 3, 4):
        raise PictureError(f"the image has {colours.shape[2]} channels; expected 1 to 4, or {channels}")
    seen = colours.shape[2] if colours.shape[2] in (1, 3, channels) else colours.shape[2] - 1
    depth = depth_of(array.dtype)
    old = colours[..., :seen]
    restored = restore(old, depth) if samples else from_values(restore(to_values(old), depth), old)
    if seen < colours.shape[2]:
        restored = np.concatenate([restored, colours[..., seen:]], axis=2)
    return restored.reshape(*array.shape[:2], *([-1] if array.ndim == 3 else []))


def through_tensor(
    tensor: torch.Tensor, restore: Restore, *, channels: int = 3, samples: bool = False
) -> torch.Tensor:
    """Restore (C, H, W) or (B, C, H, W); device and dtype stay. Types and channels: see `through_array`."""
    import torch  # noqa: PLC0415 - already imported: the caller passed a tensor

    if tensor.ndim not in (3, 4) or 0 in tensor.shape:
        raise PictureError(
            f"a tensor of shape {tuple(tensor.shape)} is not an image; expected (C, H, W) or (B, C, H, W)"
        )
    arrays = array_of_tensor(tensor).reshape(-1, *tensor.shape[-3:])
    restored = [
        through_array(array.transpose(1, 2, 0), restore, channels=channels, samples=samples).transpose(
            2, 0, 1
        )
        for array in arrays
    ]
    stacked = torch.from_numpy(np.stack(restored) if tensor.ndim == 4 else np.ascontiguousarray(restored[0]))
    return stacked.to(device=tensor.device, dtype=tensor.dtype)


def array_of_tensor(tensor: torch.Tensor) -> NDArray[Any]:
    """Return the values of a tensor as an array; bfloat16, which numpy does not have, becomes float32.

    Raises PictureError for a tensor that is sparse or has no data, and for float8.
    """
    import torch  # noqa: PLC0415 - already imported: the caller passed a tensor

    try:
        values = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        return values.numpy(force=True)
    except (TypeError, NotImplementedError):
        raise PictureError(
            f"a tensor of {tensor.dtype} ({tensor.layout}, device {tensor.device}) cannot be read;"
            " expected a dense tensor of integers or floats of 8 to 64 bits, without float8"
        ) from None


def array_of_pil(image: PIL.Image.Image) -> NDArray[Any]:
    """Return the samples of a Pillow image, (H, W) or (H, W, C), in the mode that `_PIL_MODES` gives.

    A transparent colour becomes alpha. Raises PictureError for an unknown mode.
    """
    if image.mode not in _PIL_MODES:
        known = ", ".join(_PIL_MODES)
        raise PictureError(f"Pillow mode {image.mode} is not supported; convert to one of {known}")
    mode = _PIL_MODES[image.mode]
    if "transparency" in image.info and mode in ("L", "RGB"):  # one colour is transparent
        mode = {"L": "LA", "RGB": "RGBA"}[mode]
    array = np.asarray(image if mode in (image.mode, "I;16") else image.convert(mode))
    return array.astype(np.uint16) if mode == "I;16" else array


def through_pil(image: PIL.Image.Image, restore: Restore, *, samples: bool = False) -> PIL.Image.Image:
    """Restore a Pillow image.

    Modes L, LA, RGB, RGBA, I;16, I and F stay; other modes become one of these without loss of bit depth or
    alpha. The colour profile of CMYK or LAB is dropped, because it does not fit RGB. Raises PictureError for
    an unknown mode.
    """
    import PIL.Image  # noqa: PLC0415 - already imported: the caller passed a Pillow image

    array = through_array(array_of_pil(image), restore, samples=samples)
    restored = PIL.Image.fromarray(np.ascontiguousarray(array))
    dropped = {"transparency"} | ({"icc_profile"} if image.mode in ("CMYK", "LAB") else set())
    restored.info = {key: value for key, value in image.info.items() if key not in dropped}
    return restored


def through(
    picture: NDArray[Any] | torch.Tensor | PIL.Image.Image | Image | StoredImage,
    restore: Restore,
    *,
    channels: int = 3,
    samples: bool = False,
) -> Any:
    """Restore an image in memory in any form. Raises PictureError for another value."""
    if isinstance(picture, np.ndarray):
        return through_array(picture, restore, channels=channels, samples=samples)
    if is_tensor(picture):
        return through_tensor(picture, restore, channels=channels, samples=samples)
    if is_pil(picture):
        return through_pil(picture, restore, samples=samples)
    if isinstance(picture, Image):
        values = picture.values
        restored = restore(values, picture.depth)
        return picture if restored is values else picture.with_values(restored)
    if isinstance(picture, StoredImage):
        if samples:
            return picture.with_samples(restore(picture.samples, picture.bits))
        values = picture.values
        restored = restore(values, picture.depth)
        return picture if restored is values else picture.with_samples(restored)
    raise PictureError(
        f"cannot restore a {type(picture).__name__};"
        " expected a path, bytes, an array, a tensor or a Pillow image"
    )


def values_of(picture: Any, *, channels: int = 3) -> list[tuple[Values, int]]:
    """Return values (H, W, C) and depth of each image of a batch, as `through` passes them on."""
    found: list[tuple[Values, int]] = []

    def keep(values: Values, depth: int) -> Values:
        found.append((values, depth))
        return values

    through(picture, keep, channels=channels)
    return found


def copied(picture: Any) -> Any:
    """Return a copy that stays as it is when the caller changes the image. Those of files are not copied."""
    if is_tensor(picture):
        return picture.detach().clone()
    return picture.copy() if isinstance(picture, np.ndarray) or is_pil(picture) else picture


def cropped(picture: Any, rows: slice, columns: slice) -> Any:
    """Return a part of an array, tensor, Pillow image or StoredImage, without changing it."""
    if isinstance(picture, np.ndarray):
        return picture[rows, columns]
    if is_tensor(picture):
        return picture[..., rows, columns]
    if is_pil(picture):
        return picture.crop((columns.start, rows.start, columns.stop, rows.stop))
    return picture.cropped(rows, columns)


def size_of(picture: Any) -> tuple[int, int]:
    """Return height and width of an image in any form."""
    if is_tensor(picture):
        return int(picture.shape[-2]), int(picture.shape[-1])
    return (
        (int(picture.shape[0]), int(picture.shape[1]))
        if isinstance(picture, np.ndarray)
        else (
            picture.height,
            picture.width,
        )
    )


def to_values(array: NDArray[Any]) -> Values:
    """Return an array as `image.samples.values_of` does.

    Raises PictureError for types that are neither integers nor floats, and for values that are not finite.
    """
    if array.dtype.kind not in "uif" or array.dtype.itemsize > 8:
        raise PictureError(f"pixels of type {array.dtype}; expected integers or floats of up to 64 bits")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise PictureError("the image has non-finite pixels (NaN or infinity)")
    return values_of_samples(array)


def from_values(values: Values, old: NDArray[Any]) -> NDArray[Any]:
    """Return values as an array of the type of `old`, from which they were made.

    With 8-bit and 16-bit unsigned types, they are clipped to [0, 1].
    """
    if old.dtype.kind == "f":
        return values.astype(old.dtype, copy=False)
    if not has_white(old.dtype):
        return from_own_values(values, old)
    clipped = np.clip(values, 0, 1)
    clipped *= np.float32(np.iinfo(old.dtype).max)
    return np.rint(clipped, out=clipped).astype(old.dtype)


def default_output(path: Path) -> Path:
    """Return NAME.restored.EXT beside NAME.EXT. Raises PictureError for a folder or a path without a name.

    For HEIC and camera raw, EXT is the suffix of the format to write.
    """
    if not path.name or path.is_dir():
        raise PictureError(f"{str(path)!r} is a folder, not an image")
    return path.with_name(f"{path.stem}.restored{output_suffix(path.suffix)}")


def output_for(
    source: str | os.PathLike[str], output: str | os.PathLike[str] | None, overwrite: bool
) -> Path:
    """Return the file to write for an image file; None is the default. Raises OptionError if it cannot be."""
    path = default_output(Path(source)) if output is None else Path(output)
    if output is not None:
        check_suffix(path)
    check_output(path, overwrite=overwrite, source=Path(source), how="pass overwrite=True")
    return path


def check_suffix(output: Path) -> None:
    """Raise OptionError for an output whose suffix is unknown or belongs to a read-only format."""
    if can_write(output.suffix):
        return
    if not output.suffix:
        raise OptionError(f"{output}: expected a file name with a suffix, such as {output}.png")
    if found := read_only(output.suffix):
        dng = " (for camera raw also .dng)" if found is RAW else ""
        raise OptionError(
            f"{output}: {found.name} cannot be written; use .png, .jpg, .webp, .tif or .avif{dng}"
        )
    raise OptionError(f"{output}: unknown format {output.suffix!r}; use .png, .jpg, .webp, .tif or .avif")
