"""Decide what of an image's metadata is written: what the policy permits and the format can hold."""

import dataclasses
from typing import Literal

from uformer.errors import PictureError
from uformer.image import attached, exif_block, formats, png, tiff_tags, xmp_packet
from uformer.image.formats import Format
from uformer.image.image import Image, Metadata
from uformer.image.privacy import safe
from uformer.notices import Notify

MetadataPolicy = Literal["keep", "strip", "safe"]

_MOST_NAMED = 3  # PNG texts in a notice


def carried(image: Image, target: Format, policy: MetadataPolicy, notify: Notify) -> Metadata:
    """The metadata to write, with the size of this image; `notify` receives a line for each loss.

    Raises PictureError if a block is too large for the format.
    """
    shown = _permitted(image.metadata, policy)
    if target is not formats.PNG:
        shown = _profiled(shown, target, notify, gray=image.channels == 1)
    shown = _held(shown, target, notify)
    shown = _with_attached(shown, image, target, policy, notify)
    shown = dataclasses.replace(
        shown,
        exif=shown.exif and exif_block.with_size(shown.exif, image.width, image.height),
        xmp=shown.xmp and xmp_packet.with_size(shown.xmp, image.width, image.height),
    )
    if target is formats.JPEG:
        _check_segments(shown)
    return shown


def _permitted(metadata: Metadata, policy: MetadataPolicy) -> Metadata:
    """What the policy permits; the colours and the resolution always stay."""
    if policy == "keep":
        return metadata
    pixels = Metadata(
        icc=metadata.icc,
        resolution=metadata.resolution,
        chunks=png.colours(metadata.chunks),
        tags=tiff_tags.of_pixels(metadata.tags),
    )
    if policy == "strip":
        return pixels
    found = safe(metadata)
    return dataclasses.replace(pixels, exif=found.exif, xmp=found.xmp, iptc=found.iptc)


def _profiled(shown: Metadata, target: Format, notify: Notify, *, gray: bool) -> Metadata:
    """The metadata with a colour profile in place of the chunks of a PNG that describe other colours."""
    if shown.icc is not None or not png.has_other_colours(shown.chunks):
        return shown
    icc = png.profile(shown.chunks, gray=gray)
    if icc is None:
        names = ", ".join(name.decode("latin-1") for name, _ in png.colours(shown.chunks))
        notify(
            f"has colours ({names}) that no colour profile describes, such as HDR; "
            f"{target.name} is written without their description and will look wrong; use .png"
        )
    return dataclasses.replace(shown, icc=icc)


def _held(shown: Metadata, target: Format, notify: Notify) -> Metadata:
    """What the format can hold of the metadata, without what lies behind the image."""
    lost: list[str] = []
    if target is not formats.PNG:
        if texts := png.keywords(shown.chunks):
            named = ", ".join(texts[:_MOST_NAMED]) + ", ..." * (len(texts) > _MOST_NAMED)
            lost.append(f"PNG texts ({named})")
        shown = dataclasses.replace(shown, chunks=())
    if target is not formats.JPEG:
        lost += ["comments"] * bool(shown.comments) + ["extended XMP"] * bool(shown.extended_xmp)
        if shown.extended_xmp and shown.xmp:
            xmp = xmp_packet.without(shown.xmp, xmp_packet.EXTENSION)
            shown = dataclasses.replace(shown, xmp=xmp)
        shown = dataclasses.replace(shown, comments=(), extended_xmp=())
    if target is not formats.TIFF:
        lost += tiff_tags.names(shown.tags)
        shown = dataclasses.replace(shown, tags=None)
        if target is not formats.JPEG and shown.iptc is not None:
            lost.append("IPTC")
            shown = dataclasses.replace(shown, iptc=None)
    elif exif_block.loses_maker_note(shown.exif):
        lost.append("the maker note of this camera")
    if lost:
        notify(f"{target.name} cannot hold {', '.join(lost)}; left out")
    return shown


def _with_attached(
    shown: Metadata, image: Image, target: Format, policy: MetadataPolicy, notify: Notify
) -> Metadata:
    """The metadata with what lies behind the image, or without it and without XMP that describes it."""
    found = image.metadata.attached
    if found is None:
        return shown
    why = attached.obstacle(found, (image.width, image.height))
    if why is None and target is not formats.JPEG:
        why = f"{target.name} cannot hold it"
    elif why is None and policy != "keep":
        why = "only the policy keep retains it"
    fitted = attached.upright(found, shown.xmp or b"") if why is None else None
    if fitted is not None:
        return dataclasses.replace(shown, attached=fitted[0], xmp=attached.described_by(fitted[1]) or None)
    why = why or attached.TURNED
    notify(f"{attached.described(found)}: {why}")
    xmp = shown.xmp and xmp_packet.without(shown.xmp, attached.CLAIMS)
    return dataclasses.replace(shown, attached=None, xmp=xmp)


def _check_segments(metadata: Metadata) -> None:
    """Raise PictureError if a block does not fit into one JPEG segment of 65,533 bytes, including its header.

    libvips would silently leave it out.
    """
    for name, value, most in (
        ("EXIF", metadata.exif, 65_527),
        ("XMP", metadata.xmp, 65_504),
        ("IPTC", metadata.iptc, 65_533),
    ):
        if value is not None and len(value) > most:
            raise PictureError(
                f"{len(value)} bytes of {name} do not fit into JPEG (at most {most}); "
                "strip the metadata or write another format"
            )
