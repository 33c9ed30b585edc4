"""Gather the metadata of an opened file, upright like its pixels."""

from uformer.image import (
    attached,
    exif_block,
    formats,
    iptc,
    jpeg,
    png,
    resolution,
    thumbnail,
    tiff_tags,
    vips,
    xmp_packet,
)
from uformer.image.containers import has_gain_map, nclx
from uformer.image.ifd import Directory
from uformer.image.image import Metadata
from uformer.image.opening import Opened

_DEPTH_IN_XMP = b"http://ns.google.com/photos/1.0/depthmap/"
_THUMBNAILS_IN_XMP = {"http://ns.adobe.com/xap/1.0/": ("Thumbnails",)}


def metadata_of(file: Opened) -> tuple[Metadata, int]:
    """The metadata with orientation 1, and the orientation that the pixels still have."""
    image, data = file.image, file.data
    exif, xmp, photoshop, told = _blocks(file)
    orientation = told or (xmp_packet.orientation(xmp) if xmp else 1)
    if exif:
        exif = exif_block.upright(thumbnail.upright(exif, orientation))
    if xmp:
        xmp = xmp_packet.upright(xmp)
        xmp = xmp_packet.without(xmp, _THUMBNAILS_IN_XMP) if orientation != 1 else xmp
    if file.format is formats.AVIF or file.external is not None:
        # The decoder has already applied the file's own transformations; the orientation in EXIF is ignored.
        orientation = 1
    turn = orientation >= 5
    extended = jpeg.extended_xmp(data) if file.format is formats.JPEG else ()
    if orientation != 1 and _has_depth(extended):
        extended = ()
    behind = None
    if file.format is formats.JPEG:
        size = (image.height, image.width) if turn else (image.width, image.height)
        behind = attached.attached(data, xmp, size=size, orientation=orientation)
    if xmp:
        xmp = xmp_packet.without(xmp, attached.CLAIMS) if behind is None else xmp
        xmp = xmp_packet.without(xmp, xmp_packet.EXTENSION) if not extended else xmp
    icc = vips.blob(image, "icc-profile-data")
    return Metadata(
        icc=icc,
        exif=exif,
        xmp=xmp,
        iptc=photoshop,
        resolution=_resolution(file, exif, turn=turn),
        comments=jpeg.comments(data) if file.format is formats.JPEG else (),
        extended_xmp=extended,
        attached=behind,
        chunks=_chunks(file, has_profile=icc is not None),
        tags=tiff_tags.kept(data, turned=orientation != 1) if file.format is formats.TIFF else None,
    ), orientation


def left_out(file: Opened, metadata: Metadata, *, turned: bool) -> list[str]:
    """What a file holds besides its pixels that `metadata_of` leaves out, in words."""
    found = []
    if file.format is formats.TIFF:
        found += tiff_tags.left_out(file.data, turned=turned)
        if exif_block.has_maker_note(file.data) and not exif_block.has_maker_note(metadata.exif):
            found.append("a maker note")
    elif file.format is formats.JPEG:
        if not metadata.extended_xmp and jpeg.extended_xmp(file.data):
            found.append("a depth map in another orientation")
        if jpeg.has_content_credentials(file.data):
            found.append("content credentials (C2PA)")
    elif file.format is formats.PNG and png.has_content_credentials(file.data):
        found.append("content credentials (C2PA)")
    elif file.format is formats.AVIF and has_gain_map(file.data):
        found.append("an HDR gain map")
    if resolution.has_other_aspect(file.data, file.format):
        found.append("the ratio of the sides of a pixel")
    return found


def _blocks(file: Opened) -> tuple[bytes | None, bytes | None, bytes | None, int | None]:
    """EXIF, XMP and IPTC as the file has them, and the orientation in EXIF or in a TIFF's own tag."""
    image, data = file.image, file.data
    xmp = vips.blob(image, "xmp-data")
    if file.format is formats.TIFF:
        told = vips.integer(image, "orientation", 1) if exif_block.ORIENTATION in Directory(data) else None
        records = exif_block.iptc_of_tiff(data)
        return exif_block.from_tiff(data), xmp, iptc.wrapped(records) if records else None, told
    exif = vips.blob(image, "exif-data")
    if file.format is formats.PNG:
        exif, xmp = png.metadata(data)
    elif file.format is formats.JPEG:
        xmp = jpeg.xmp(data) or None
    exif = exif.removeprefix(b"Exif\0\0") if exif else None
    told = exif_block.orientation(exif) if exif and exif_block.has_orientation(exif) else None
    return exif, xmp, vips.blob(image, "iptc-data"), told


def _resolution(file: Opened, exif: bytes | None, *, turn: bool) -> resolution.Resolution | None:
    """Upright horizontal and vertical pixels per millimetre; None if unknown."""
    found = resolution.resolution(file.data, file.format, exif)
    return (found[1], found[0]) if found and turn else found


def _chunks(file: Opened, *, has_profile: bool) -> tuple[png.Chunk, ...]:
    """Chunks of a PNG, or of an AVIF the chunk of a PNG that describes the same colours."""
    if file.format is formats.PNG:
        return png.kept(file.data)
    points = nclx(file.data) if file.format is formats.AVIF and not has_profile else None
    return ((b"cICP", bytes([*points, 0, 1])),) if points else ()


def _has_depth(extended: tuple[bytes, ...]) -> bool:
    """Whether extended XMP holds a depth map, which lies over the pixels."""
    return any(_DEPTH_IN_XMP in payload for payload in extended)
