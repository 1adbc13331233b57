"""Exif, XMP and colour profile of a target, carried into its result with what the result changed.

GDAL reads some of them and writes none; here they are added to the finished file; its pixels stay.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, TiffImagePlugin

from cmsr.io import tiff_tags
from cmsr.io.tiff_tags import Tag

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_TEXTS = (0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""Tags of the file as a whole that travel: make, model, software, time, artist, copyright."""

_LEFT_OUT = (0x927C, 0xA005, 0x9286)
"""Maker's notes and interoperability, whose offsets would be wrong, and the user's comment."""

_WIDTH, _HEIGHT, _PER_X, _PER_Y = 0xA002, 0xA003, 0xA20E, 0xA20F
_ORIENTATION, _XMP, _ICC = 0x0112, 0x02BC, 0x8773
_LONGEST = 65_000
"""Largest content of a segment of a JPEG, in bytes."""

_PIXELS = ("CalibratedFocalLength", "CalibratedOpticalCenterX", "CalibratedOpticalCenterY",
           "PixelsPerDegree")  # fmt: skip
"""Values in XMP that count pixels of the image."""

_BAND = '<rdf:Description rdf:about="" xmlns:Camera="http://pix4d.com/camera/1.0">' \
        "<Camera:BandName>LWIR</Camera:BandName></rdf:Description>"  # fmt: skip
_EMPTY = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF></x:xmpmeta>'
)


@dataclass(frozen=True)
class Carried:
    """Metadata that a result takes over from its target.

    Attributes
    ----------
    tags, exif, gps : dict
        Exif's tags of the file, of the picture and of the place.
    xmp : str
    icc : bytes
    thermal : bool
        Whether the values are those of a thermal camera, whose band is named LWIR where no name is.
    """

    tags: dict[int, Any] = field(default_factory=dict)
    exif: dict[int, Any] = field(default_factory=dict)
    gps: dict[int, Any] = field(default_factory=dict)
    xmp: str = ""
    icc: bytes = b""
    thermal: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing travels."""
        return not (self.tags or self.exif or self.gps or self.xmp or self.icc)

    def sized(self, shape: tuple[int, int], before: tuple[int, int]) -> Carried:
        """Return the same for a result of a shape, made from an image of the shape ``before``."""
        ratios = {_PER_X: shape[1] / before[1], _PER_Y: shape[0] / before[0]}
        exif = {tag: _times(value, ratios[tag]) if tag in ratios else value
                for tag, value in self.exif.items()}  # fmt: skip
        exif |= {_WIDTH: shape[1], _HEIGHT: shape[0]} if self.exif else {}
        text = _xmp_of(self.xmp, shape, shape[1] / before[1]) if self.xmp else self.xmp
        if self.thermal and "BandName" not in text:
            text = (text or _EMPTY).replace("</rdf:RDF>", f"{_BAND}</rdf:RDF>", 1)
        return Carried(self.tags, exif, self.gps, text, self.icc, self.thermal)

    def into(self, file: BinaryIO, *, cog: bool = False) -> None:
        """Add it to a JPEG, PNG or TIFF, which is a COG or not; any other file stays as it is."""
        file.seek(0)
        start = file.read(8)
        if start[:2] in (b"II", b"MM"):
            tiff_tags.add(file, _tiff_tags(self), cog=cog)
        elif start[:3] == b"\xff\xd8\xff":
            _insert(file, 2, b"".join(_jpeg_segments(self)))
        elif start == b"\x89PNG\r\n\x1a\n":
            _insert(file, 33, b"".join(_png_chunks(self)))

    def exif_bytes(self) -> bytes:
        """Return it as Exif: a small TIFF; b"" where there is none."""
        if not (self.tags or self.exif or self.gps):
            return b""
        whole = Image.Exif()
        for tag, value in {**self.tags, _ORIENTATION: 1}.items():
            whole[tag] = value
        whole.get_ifd(_EXIF_IFD).update(self.exif)
        whole.get_ifd(_GPS_IFD).update(self.gps)
        return whole.tobytes().removeprefix(b"Exif\0\0")


def read(path: Path, *, thermal: bool = False) -> Carried:
    """Read what travels from a target's file; nothing where it is broken or there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=["JPEG", "PNG", "TIFF", "WEBP"]) as picture:
                whole = picture.getexif()
                text = picture.info.get("xmp") or b""
                found = Carried(
                    tags={tag: whole[tag] for tag in _TEXTS if tag in whole},
                    exif={tag: value for tag, value in whole.get_ifd(_EXIF_IFD).items()
                          if tag not in _LEFT_OUT},
                    gps=dict(whole.get_ifd(_GPS_IFD)),
                    xmp=text.decode("utf-8", "replace").strip("\0") if text else "",
                    icc=b"" if thermal else picture.info.get("icc_profile") or b"",
                    thermal=thermal,
                )  # fmt: skip
                found.exif_bytes()
                return found
    except Exception:  # Pillow raises whatever a broken tag leads to; a result needs none of it
        return Carried()


def _times(value: Any, ratio: float) -> Any:
    try:
        return TiffImagePlugin.IFDRational(round(float(value) * ratio * 1000), 1000)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return value


def _xmp_of(text: str, shape: tuple[int, int], ratio: float) -> str:
    """Return XMP with the size and the values in pixels of the result, upright."""
    fixed = dict.fromkeys(("ImageWidth", "PixelXDimension"), shape[1]) | {"Orientation": 1}
    fixed |= dict.fromkeys(("ImageLength", "ImageHeight", "PixelYDimension"), shape[0])

    def put(match: re.Match[str]) -> str:
        name, between, value = match[1], match[2], match[3]
        changed = fixed[name] if name in fixed else f"{float(value) * ratio:.6f}"
        return f"{name}{between}{changed}"

    names = "|".join((*fixed, *_PIXELS))
    return re.sub(rf'(?<=:)({names})(\s*=\s*["\']|>)([-+]?\d+(?:\.\d+)?)', put, text)


def _insert(file: BinaryIO, place: int, content: bytes) -> None:
    file.seek(place)
    rest = file.read()
    file.seek(place)
    file.write(content + rest)


def _jpeg_segments(carried: Carried) -> list[bytes]:
    """Return Exif, XMP and profile as segments, without what is too long for one."""
    exif, xmp = carried.exif_bytes(), carried.xmp.encode()
    profile = [carried.icc[i : i + _LONGEST] for i in range(0, len(carried.icc), _LONGEST)]
    parts = [(0xE1, b"Exif\0\0" + exif)] if exif else []
    parts += [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)] if xmp else []
    if len(profile) < 256:
        parts += [(0xE2, b"ICC_PROFILE\0" + bytes([number, len(profile)]) + part)
                  for number, part in enumerate(profile, start=1)]  # fmt: skip
    return [struct.pack(">BBH", 0xFF, marker, len(part) + 2) + part
            for marker, part in parts if len(part) <= _LONGEST + 100]  # fmt: skip


def _png_chunks(carried: Carried) -> list[bytes]:
    exif, xmp = carried.exif_bytes(), carried.xmp.encode()
    chunks = [(b"iCCP", b"profile\0\0" + zlib.compress(carried.icc))] if carried.icc else []
    chunks += [(b"eXIf", exif)] if exif else []
    chunks += [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)] if xmp else []
    return [
        struct.pack(">I", len(content)) + kind + content
        + struct.pack(">I", zlib.crc32(kind + content)) for kind, content in chunks
    ]  # fmt: skip


def _tiff_tags(carried: Carried) -> list[Tag]:
    texts = {
        tag: str(value).encode("utf-8", "replace") + b"\0" for tag, value in carried.tags.items()
    }
    tags = [Tag(tag, 2, text, len(text)) for tag, text in texts.items()]
    xmp = carried.xmp.encode()
    tags += [Tag(_XMP, 1, xmp, len(xmp)), Tag(_ICC, 7, carried.icc, len(carried.icc))]
    inner = ((_EXIF_IFD, carried.exif), (_GPS_IFD, carried.gps))
    return tags + [Tag(tag, 4, partial(_directory, held, tag)) for tag, held in inner if held]


def _directory(tags: dict[int, Any], group: int, header: bytes, place: int) -> bytes:
    directory = TiffImagePlugin.ImageFileDirectory_v2(header, group=group)
    for tag, value in tags.items():
        directory[tag] = value
    return directory.tobytes(place)


def added(content: bytes, carried: Carried, *, cog: bool = False) -> bytes:
    """Return a file's bytes with what is carried."""
    file = BytesIO(content)
    carried.into(file, cog=cog)
    return file.getvalue()
