"""`uformer restore IMAGE --residual FILE`: applies the controls to a kept answer, without a network."""

import dataclasses
from pathlib import Path

from uformer.errors import OptionError
from uformer.files import Times, keep_time
from uformer.image.formats import by_suffix
from uformer.image.image import Pixels
from uformer.image.prepare import check
from uformer.image.read import read
from uformer.image.write import MetadataPolicy, write
from uformer.notices import ignore, to_stderr
from uformer.restore.options import Controls, RestoreOptions
from uformer.restore.restoration import Restoration
from uformer.restore.worklist import is_one_picture, one_job

_FREE = (*(field.name for field in dataclasses.fields(Controls)), "quality", "threads")
"""The options that apply without a network."""


def blend_again(
    images: tuple[str, ...],
    output: str | None,
    residual: Path,
    options: RestoreOptions,
    mask: Pixels | None,
    metadata: MetadataPolicy,
    times: Times,
    *,
    overwrite: bool,
    quiet: bool,
) -> int:
    """Write the image with the controls applied to the answer in a file, and return the exit code.

    Raises OptionError for several images and for options that need a network, PictureError if the file is
    damaged or belongs to another image.
    """
    if not is_one_picture(images) or "-" in (*images, output):
        raise OptionError("--residual: takes exactly one image file, because it belongs to one image")
    plain = RestoreOptions()
    for field in dataclasses.fields(options):
        if field.name not in _FREE and getattr(options, field.name) != getattr(plain, field.name):
            raise OptionError(
                f"--residual: the network does not run, so --{field.name} has no effect; omit it"
            )
    job = one_job(images[0], output, overwrite=overwrite)
    notify = to_stderr(quiet=quiet)
    image = read(job.source, notify=notify)
    check(image, by_suffix(job.output.suffix), metadata, notify=ignore)
    restoration = Restoration.load(residual, image)
    restoration.threads = options.threads
    restored = restoration.blend(mask=mask, **dataclasses.asdict(options.controls))
    write(restored, job.output, metadata=metadata, quality=options.quality, notify=notify)
    if times == "keep":
        keep_time(job.source, job.output)
    if not quiet:
        print(job.output)
    return 0
