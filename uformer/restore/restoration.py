"""Restoration: the network's answer for one image, from which the controls make any number of results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from uformer.errors import OptionError
from uformer.image.image import Image, Pixels
from uformer.image.read import read
from uformer.image.samples import Samples
from uformer.image.stored import StoredImage
from uformer.image.value_range import FULL, ValueRange
from uformer.image.write import encode, write
from uformer.output import check_output
from uformer.restore import forms
from uformer.restore.controls import Window, tone_shifts
from uformer.restore.masks import Mask, mask_values
from uformer.restore.options import Controls, RestoreOptions
from uformer.restore.remix import Residual, blend_samples, reader, residual_of
from uformer.restore.reporting.change_report import ChangeReport, Recorder
from uformer.restore.residual_file import KeptAnswer, load_answer, networks_of, save_answer
from uformer.restore.tiles import Bands

Crop = tuple[int, int, int, int]
"""Left, top, width and height of a part of an image."""


@dataclass(frozen=True)
class Held:
    """An image in memory, and the form in which it was passed."""

    image: Any
    """A copy of the array, tensor or Pillow image; a StoredImage for an Image or a file."""
    source: str | os.PathLike[str] | None = None
    """The path, if it was passed as one."""
    encoded: bool = False
    """Whether it was passed as the bytes of a file."""
    loose: bool = False
    """Whether it was passed as an Image, whose values need not be samples."""

    @classmethod
    def of(cls, picture: Any) -> Held:
        """Return an image as it is now; one that is held already stays as it is.

        Raises PictureError for a file that is not an image.
        """
        if isinstance(picture, Held):
            return picture
        if isinstance(picture, str | os.PathLike):
            return cls(StoredImage.of(read(picture)), source=picture)
        if isinstance(picture, bytes | bytearray | memoryview):
            return cls(StoredImage.of(read(bytes(picture))), encoded=True)
        if isinstance(picture, Image):
            return cls(StoredImage.of(picture), loose=True)
        return cls(forms.copied(picture))


class SpreadMap:
    """The spread (H, W) of the network's answers, which arrives from top to bottom."""

    def __init__(self, height: int, width: int) -> None:
        self.values: Pixels = np.full((height, width), np.nan, np.float32)

    def add(self, first: int, rows: Pixels) -> None:
        """Set rows (n, W), the first of which is row `first`."""
        self.values[first : first + len(rows)] = rows

    @property
    def complete(self) -> bool:
        return not np.isnan(self.values).any()


class Restoration:
    """The network's answer for one image: its change, in float16, and the image.

    `residuals`, `shifts` (see `tone_shifts`) and `ranges` (of the values that the network saw as black to
    white): one for each image of a batch, which `add` appends. `controls`: the defaults of `blend`.
    `channels`: the network's number of channels. `quality`: as in RestoreOptions. `views`: the number of
    views whose spread was measured; None for no trust map. `options`: those of the restorer, for `save`.
    """

    def __init__(
        self,
        held: Held,
        residuals: Iterable[Residual] = (),
        shifts: Iterable[Pixels] = (),
        ranges: Iterable[ValueRange] = (),
        controls: Controls = Controls(),
        *,
        channels: int = 3,
        quality: int | None = None,
        views: int | None = None,
        options: RestoreOptions | None = None,
    ) -> None:
        self.residuals = list(residuals)
        self.shifts = list(shifts)
        self.ranges = list(ranges)
        self.controls = controls
        self.mask: Any = None
        """The default mask of `blend`."""
        self.threads = None if options is None else options.threads
        """Threads that `blend` uses; default: one for each processor, at most four."""
        self._held = held
        self._channels = channels
        self._quality = quality
        self._views = views
        self._options = options
        self._networks: tuple[dict[str, str], ...] = ()
        self._spreads: list[SpreadMap] = []

    def through(self, answer: forms.Restore) -> None:
        """Call `answer` with the values (H, W, C) and the depth of each image of the batch."""
        forms.through(self._held.image, answer, channels=self._channels)

    def add(self, bands: Bands, planar: Pixels, used: ValueRange, spread: SpreadMap) -> None:
        """Append the network's rows for an image (C, H, W), of which `used` is black to white.

        `spread` is complete after the last row, unless it is not measured.
        """
        residual = residual_of(bands, planar)
        self.residuals.append(residual)
        read_window = reader(planar.transpose(1, 2, 0), residual, FULL, 32)
        self.shifts.append(tone_shifts(read_window, residual.shape))
        self.ranges.append(used)
        self._spreads.append(spread)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Keep the network's answer in a .npz file, from which `load` makes a Restoration of the same image.

        The image itself and a trust map are not kept. Raises OptionError for a batch, and if the file exists
        or cannot be written.
        """
        check_output(Path(path), overwrite=overwrite, how="pass overwrite=True")
        save_answer(Path(path), self.kept(), self._values())

    def kept(self) -> KeptAnswer:
        """Return what `save` writes."""
        networks = self._networks if self._options is None else networks_of(self._options)
        answer = self.residuals[0], self.shifts[0], self.ranges[0], self.controls.tones
        return KeptAnswer(*answer, networks, self._channels)

    @classmethod
    def load(cls, path: str | os.PathLike[str], picture: Any) -> Restoration:
        """Return the Restoration of an image from a file that `save` wrote, without loading a network.

        `picture`: the same image, in any form. Raises PictureError if the file is damaged or belongs to
        another image.
        """
        restoration = cls(Held.of(picture))
        answer = load_answer(Path(path), restoration._values())
        restoration.residuals, restoration.shifts = [answer.residual], [answer.shifts]
        restoration.ranges, restoration._networks = [answer.used], answer.networks
        restoration.controls = Controls(tones=answer.tones)
        restoration._channels = answer.channels
        restoration._spreads = [SpreadMap(*answer.residual.shape[1:])]
        return restoration

    def _values(self) -> Pixels:
        """Return the values (H, W, C) of the only image. Raises OptionError for a batch."""
        images = forms.values_of(self._held.image, channels=self._channels)
        if len(images) != 1:
            raise OptionError(f"only the answer of one image can be kept, not of a batch of {len(images)}")
        ((values, _),) = images
        return values

    def report(self, **controls: Any) -> ChangeReport | list[ChangeReport]:
        """Return what `blend` with these controls changes, before a file is encoded; for a batch, a list.

        The trust map is that of the network's answer, whatever the controls. It needs `infer(trust=True)`.
        Raises OptionError for a control that is unknown or out of range.
        """
        blended = self._blended(self._chosen(controls), self.mask, as_floats=True)
        before, after = (
            forms.values_of(image, channels=self._channels) for image in (self._held.image, blended)
        )
        reports = []
        for number, ((old, depth), (new, _)) in enumerate(zip(before, after, strict=True)):
            recorder = Recorder(views=self._views or 0)
            recorder.begin(*old.shape)
            recorder.add_values(0, old, new, depth, self.ranges[number])
            if self._views and self._spreads[number].complete:
                recorder.add_spread(0, self._spreads[number].values)
            reports.append(recorder.report())
        batch = forms.is_tensor(self._held.image) and self._held.image.ndim == 4
        return reports if batch else reports[0]

    def blend(
        self,
        *,
        mask: Any = None,
        crop: Crop | None = None,
        output: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        check: Callable[[], None] | None = None,
        **controls: Any,
    ) -> Any:
        """Return the restored image, in the form in which the image was passed. The network does not run.

        - `controls`: the fields of Controls. Default: those of the restorer.
        - `mask`: a gray image of the same size, or the same ratio of width and height: white restores, black
          leaves the image as it is. See `mask_values` for its forms; a Mask of the image's size is not
          copied. Default: that of the restorer.
        - `crop`: left, top, width and height of a part; the result is that part of the whole result.
        - `output`, `overwrite`: as for calling the restorer.
        - `check`: called before each block of pixels, by several threads; an exception that it raises ends
          the work.

        Raises OptionError for a control that is unknown or out of range and for a crop outside of the image,
        PictureError for a mask that does not fit.
        """
        chosen = self._chosen(controls)
        source = self._held.source
        if source is None and output is not None:
            raise OptionError("output: needs the path of an image file; other results are returned")
        path = None if source is None else forms.output_for(source, output, overwrite)
        used = self.mask if mask is None else mask
        result = self._blended(chosen, used, crop, check, as_floats=self._held.loose)
        if self._held.loose:
            return result.image()
        if path is not None:
            write(result, path, quality=self._quality)
            return str(path) if isinstance(source, str) else path
        return encode(result, result.suffix, quality=self._quality) if self._held.encoded else result

    def _chosen(self, controls: dict[str, Any]) -> Controls:
        known = [field.name for field in fields(Controls)]
        for name in controls:
            if name not in known:
                raise OptionError(f"unknown control {name!r}; known: {', '.join(known)}")
        chosen = replace(self.controls, **controls)
        return replace(chosen, tones=self.controls.tones) if chosen.tones == "auto" else chosen

    def _blended(
        self,
        controls: Controls,
        mask: Any = None,
        crop: Crop | None = None,
        check: Callable[[], None] | None = None,
        *,
        as_floats: bool,
    ) -> Any:
        """Return the image in the form that is held. `as_floats`: do not round a StoredImage to samples."""
        image = self._held.image
        height, width = forms.size_of(image)
        window = Window(0, height, 0, width) if crop is None else crop_window(crop, height, width)
        around = window.grown(height, width)
        fitted = mask if isinstance(mask, Mask | None) else Mask(mask_values(mask), height, width)
        rows, columns = slice(around.top, around.bottom), slice(around.left, around.right)
        answers = zip(self.residuals, self.shifts, self.ranges, strict=True)
        # Samples of 10 and 12 bits are rounded when it is known how many bits the file to write has.
        loose = isinstance(image, StoredImage) and (as_floats or image.bits not in (8, 16))

        def run(samples: Samples, depth: int) -> Samples:
            residual, shifts, used = next(answers)
            return blend_samples(
                samples,
                residual[:, rows, columns],
                controls,
                fitted,
                at=around,
                shifts=shifts,
                used=used,
                depth=depth,
                as_floats=loose,
                threads=self.threads,
                check=check,
            )

        if crop is None:
            return forms.through(image, run, channels=self._channels, samples=True)
        part = forms.cropped(image, rows, columns)
        part = forms.through(part, run, channels=self._channels, samples=True)
        return forms.cropped(part, *window.inside(around))


def crop_window(crop: Crop, height: int, width: int) -> Window:
    """Return the window of a crop. Raises OptionError unless it lies in the image."""
    try:
        left, top, across, down = (int(value) for value in crop)
    except (TypeError, ValueError):
        raise OptionError(f"crop: {crop!r} must be four numbers: left, top, width and height") from None
    if min(left, top) < 0 or min(across, down) < 1 or left + across > width or top + down > height:
        raise OptionError(
            f"crop: left {left}, top {top}, width {across} and height {down}"
            f" must lie in the image of {width} x {height}"
        )
    return Window(top, top + down, left, left + across)
