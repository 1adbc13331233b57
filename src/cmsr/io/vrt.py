"""Mosaics in a VRT: of images in its own folder alone, written anew from what is harmless.

A VRT may name any file or address, run code and nest others; GDAL never sees the one on the disk.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from cmsr.errors import InputError
from cmsr.io.whole import check_whole

START = b"<VRTDataset"
"""How GDAL writes them."""

_LARGEST, _MOST_SOURCES, _DEEPEST = 2**24, 10_000, 8
"""Bytes of a VRT, files that it names, and elements within each other, at most."""

_SOURCES = ("SimpleSource", "ComplexSource")
_KNOWN = {
    "VRTDataset": ("rasterXSize", "rasterYSize"),
    "VRTRasterBand": ("dataType", "band", "blockXSize", "blockYSize"),
    "SRS": ("dataAxisToSRSAxisMapping", "coordinateEpoch"),
    "GeoTransform": (),
    "GCPList": ("Projection", "dataAxisToSRSAxisMapping"),
    "GCP": ("Id", "Pixel", "Line", "X", "Y", "Z", "Info"),
    "Metadata": (),
    "MDI": ("key",),
    "MaskBand": (),
    **dict.fromkeys(("ColorInterp", "NoDataValue", "HideNoDataValue", "Description", "UnitType",
                     "Offset", "Scale", "ColorTable", "SourceBand", "NODATA", "ScaleOffset",
                     "ScaleRatio", "UseMaskBand"), ()),
    "Entry": ("c1", "c2", "c3", "c4"),
    **dict.fromkeys(_SOURCES, ("resampling",)),
    "SourceFilename": (),
    "SourceProperties": ("RasterXSize", "RasterYSize", "DataType", "BlockXSize", "BlockYSize"),
    "SrcRect": ("xOff", "yOff", "xSize", "ySize"),
    "DstRect": ("xOff", "yOff", "xSize", "ySize"),
}  # fmt: skip
"""Elements of a mosaic and their attributes; others are refused or, attributes, left out."""

_LEFT_OUT = ("OverviewList", "Overview", "CategoryNames", "Histograms", "OpenOptions")
"""Elements that a result needs nothing of."""

_CRS = re.compile(r"\s*($|EPSG:\d+\s*$|[A-Z_]+\[)")
"""A coordinate system that says all by itself: WKT, or a number."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x89PNG", b"\xff\xd8\xff")
"""How TIFF, PNG and JPEG begin, in which no other file can hide."""


def holds(path: Path) -> bool:
    """Tell whether a file is a VRT, by its ending and its content."""
    if path.suffix.lower() != ".vrt" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(1024).lstrip().startswith((START, b"<?xml"))


def checked(path: Path, name: str) -> str:
    """Return a VRT's text for GDAL, its files by absolute names.

    Raises
    ------
    InputError
        If it is broken, no plain mosaic, or names anything but an image in its own folder.
    """
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{name}: is larger than {_LARGEST} bytes, too large for a VRT")
    content = path.read_bytes()
    if b"<!" in content.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        raise InputError(f"{name}: declares entities, which a VRT needs none of")
    try:
        whole = ET.fromstring(content)  # noqa: S314 (without entities)
    except (ET.ParseError, ValueError) as error:
        raise InputError(f"{name}: is a broken VRT ({error})") from error
    if sum(1 for _ in whole.iter("SourceFilename")) > _MOST_SOURCES:
        raise InputError(f"{name}: names more than {_MOST_SOURCES} files")
    plain = _plain(whole, path, name)
    ET.indent(plain)
    return ET.tostring(plain, "unicode")


def _plain(element: ET.Element, path: Path, name: str, depth: int = 0) -> ET.Element:
    """Return a copy of an element with what is known, and files that were looked at."""
    tag, text = element.tag, element.text or ""
    if tag not in _KNOWN or "subClass" in element.attrib or depth > _DEEPEST:
        raise InputError(
            f"{name}: is no plain mosaic of images ({element.get('subClass', tag)}); "
            f"gdal_translate {path.name} OUT.tif makes a TIFF of it"
        )
    known = {key: value for key, value in element.attrib.items() if key in _KNOWN[tag]}
    if not all(
        _CRS.match(crs) for crs in (known.get("Projection", ""), text if tag == "SRS" else "")
    ):
        raise InputError(f"{name}: its coordinate system is neither WKT nor an EPSG number")
    copy = ET.Element(tag, known)
    copy.text = str(_inside(text.strip(), path, name)) if tag == "SourceFilename" else text
    copy.extend(
        [_plain(part, path, name, depth + 1) for part in element if part.tag not in _LEFT_OUT]
    )
    return copy


def _inside(text: str, path: Path, name: str) -> Path:
    """Return the absolute name of an image in the folder of a VRT."""
    folder = path.parent.resolve()
    try:
        found = (folder / text).resolve()
        allowed = bool(text) and found.is_relative_to(folder)
        there = allowed and found.is_file()
    except (OSError, ValueError):
        allowed = there = False
    if not allowed:
        raise InputError(f"{name}: names {text}, which is not in its own folder")
    if not there:
        raise InputError(f"{name}: names {text}, which is missing")
    with found.open("rb") as file:
        if not file.read(4).startswith(_MAGIC):
            raise InputError(f"{name}: names {text}, which is no TIFF, PNG or JPEG")
    check_whole(found, f"{name}: {text}")
    return found
