"""JPEG-LS, the compression of FLIR's .csq recordings: one band of up to 16 bits.

ITU-T Recommendation T.87 (1998); the names of the variables are the recommendation's.
M. J. Weinberger, G. Seroussi, G. Sapiro, "The LOCO-I Lossless Image Compression Algorithm", IEEE
TIP 9(8), 2000.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

MAGIC = b"\xff\xd8"
_SOF, _LSE, _SOS, _DRI = 0xF7, 0xF8, 0xDA, 0xDD
_CONTEXTS, _RUN = 367, 365
_J = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, *range(8, 16)]
"""Logarithm of the length that each step of a run stands for (A.7.1.1)."""


@dataclass
class _Header:
    """Parameters in the segments before the scan; 0: the default."""

    bits: int = 0
    rows: int = 0
    cols: int = 0
    preset: tuple[int, ...] = (0, 0, 0, 0, 0)
    near: int = 0
    scan: int = 0


def decode(content: bytes, shape: tuple[int, int]) -> npt.NDArray[np.uint16]:
    """Decode an image of a height and width that are known from elsewhere.

    Raises
    ------
    ValueError
        If it is broken, cut off, or of another kind or size.
    """
    header = _header(content)
    if (header.rows, header.cols) != shape:
        raise ValueError(f"JPEG-LS image of {header.cols} × {header.rows} pixels")
    scan = _Scan(header, _bits(content[header.scan :]))
    image = np.empty(shape, np.uint16)
    above, corner = [0] * header.cols, 0
    for row in range(header.rows):
        line = scan.line(above, corner)
        image[row] = line
        above, corner = line, above[0]
    return image


def _header(content: bytes) -> _Header:
    """Read the segments up to the scan (annex C)."""
    header, place = _Header(), 2
    while content[place : place + 1] == b"\xff" and place + 4 <= len(content):
        kind, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        data = content[place + 4 : place + 2 + length]
        if kind == _SOF and len(data) >= 6:
            header.bits, header.rows = data[0], int.from_bytes(data[1:3], "big")
            header.cols = int.from_bytes(data[3:5], "big")
            if data[5] != 1 or not 2 <= header.bits <= 16:
                raise ValueError(f"JPEG-LS of {data[5]} bands of {header.bits} bits")
        elif kind == _LSE and data[:1] == b"\1" and len(data) >= 11:
            header.preset = tuple(int.from_bytes(data[i : i + 2], "big") for i in range(1, 11, 2))
        elif kind == _DRI and any(data):
            raise ValueError("JPEG-LS with restart intervals")
        elif kind == _SOS and len(data) >= 6 and header.bits:
            header.near, header.scan = data[3], place + 2 + length
            return header
        place += 2 + length
    raise ValueError("JPEG-LS without a scan")


def _bits(scan: bytes) -> str:
    """Return the bits of a scan up to the next marker, without the one stuffed after each 0xFF."""
    data = np.frombuffer(scan, np.uint8)
    stuffed = np.flatnonzero(data[:-1] == 255) + 1
    markers = stuffed[data[stuffed] >= 128]
    if markers.size:
        data = data[: markers[0] - 1]
    kept = np.ones((len(data), 8), bool)
    kept[stuffed[stuffed < len(data)], 0] = False
    bits = np.unpackbits(data).reshape(-1, 8)[kept]
    return (bits + ord("0")).tobytes().decode("ascii")


@dataclass
class _Scan:
    """The state of a decoder: position in the bits, and the statistics of each context."""

    header: _Header
    bits: str
    at: int = 0
    run: int = 0
    a: list[int] = field(init=False)
    b: list[int] = field(default_factory=lambda: [0] * _CONTEXTS)
    c: list[int] = field(default_factory=lambda: [0] * _CONTEXTS)
    n: list[int] = field(default_factory=lambda: [1] * _CONTEXTS)

    def __post_init__(self) -> None:
        """Set the parameters from the header (A.2.1, C.2.4.1.1)."""
        near, (most, *thresholds, reset) = self.header.near, self.header.preset
        self.near, self.most = near, most or 2**self.header.bits - 1
        self.step, self.reset = 2 * near + 1, reset or 64
        self.range = (self.most + 2 * near) // self.step + 1
        self.qbpp = (self.range - 1).bit_length()
        bpp = max(2, self.most.bit_length())
        self.limit = 2 * (bpp + max(8, bpp))
        self.a = [max(2, (self.range + 32) // 64)] * _CONTEXTS
        usual = _thresholds(self.most, near)
        t1, t2, t3 = (t or u for t, u in zip(thresholds, usual, strict=True))
        self.quantised = [(near, 0), (t1 - 1, 1), (t2 - 1, 2), (t3 - 1, 3)]

    def line(self, above: list[int], corner: int) -> list[int]:
        """Decode a line below another; ``corner`` lies left of that one."""
        width, line, x = len(above), list[int](), 0
        ra, rc, rb = above[0], corner, above[0]
        while x < width:
            rd = above[x + 1] if x + 1 < width else rb
            q1, q2, q3 = rd - rb, rb - rc, rc - ra
            if max(q1, -q1, q2, -q2, q3, -q3) <= self.near:
                x += self._runs(line, ra, above)
                if x >= width:
                    break
            else:
                q = 81 * self._level(q1) + 9 * self._level(q2) + self._level(q3)
                line.append(self._regular(q, ra, rb, rc))
                x += 1
                if x >= width:
                    break
            ra, rc, rb = line[-1], above[x - 1], above[x]
        return line

    def _level(self, step: int) -> int:
        """Quantise a local gradient to −4 … 4 (A.3.3)."""
        size = -step if step < 0 else step
        for most, level in self.quantised:
            if size <= most:
                return -level if step < 0 else level
        return -4 if step < 0 else 4

    def _regular(self, q: int, ra: int, rb: int, rc: int) -> int:
        """Decode a sample by its context (A.4 to A.6)."""
        sign = 1
        if q < 0:
            q, sign = -q, -1
        low, high = (ra, rb) if ra < rb else (rb, ra)
        px = low if rc >= high else high if rc <= low else ra + rb - rc
        px = min(max(px + sign * self.c[q], 0), self.most)
        n, a, b, k = self.n[q], self.a[q], self.b[q], 0
        while n << k < a:
            k += 1
        mapped = self._golomb(k, self.limit)
        error = -((mapped + 1) >> 1) if mapped & 1 else mapped >> 1
        if k == 0 and self.near == 0 and 2 * b <= -n:
            error = -error - 1
        b, a = b + error * self.step, a + abs(error)
        if n == self.reset:
            a, b, n = a >> 1, b >> 1, n >> 1
        n += 1
        if b <= -n:
            b, self.c[q] = max(b + n, 1 - n), max(self.c[q] - 1, -128)
        elif b > 0:
            b, self.c[q] = min(b - n, 0), min(self.c[q] + 1, 127)
        self.n[q], self.a[q], self.b[q] = n, a, b
        return self._sample(px, sign * error)

    def _runs(self, line: list[int], ra: int, above: list[int]) -> int:
        """Decode a run of a value and the sample that ends it (A.7); return how many they are."""
        start, width = len(line), len(above)
        while True:
            length, left = 1 << _J[self.run], width - len(line)
            if self._read(1):
                line.extend([ra] * min(length, left))
                if length <= left:
                    self.run = min(self.run + 1, 31)
                if length >= left:
                    return len(line) - start
                continue
            line.extend([ra] * self._read(_J[self.run]))
            if len(line) >= width:
                raise ValueError("a run in the JPEG-LS image leaves it")
            line.append(self._interruption(ra, above[len(line)]))
            self.run = max(self.run - 1, 0)
            return len(line) - start

    def _interruption(self, ra: int, rb: int) -> int:
        """Decode the sample after a run (A.7.2)."""
        alike = int(abs(ra - rb) <= self.near)
        q = _RUN + alike
        n, negative, k = self.n[q], self.b[q], 0
        total = self.a[q] + ((n >> 1) if alike else 0)
        while n << k < total:
            k += 1
        mapped = self._golomb(k, self.limit - _J[self.run] - 1)
        odd = (mapped + alike) & 1
        error = (mapped + alike + odd) >> 1
        if (k != 0 or 2 * negative >= n) == bool(odd):
            error = -error
        self.b[q] += error < 0
        self.a[q] += (mapped + 1 - alike) >> 1
        if n == self.reset:
            self.a[q], self.b[q], self.n[q] = self.a[q] >> 1, self.b[q] >> 1, n >> 1
        self.n[q] += 1
        return self._sample(ra if alike else rb, -error if not alike and ra > rb else error)

    def _sample(self, px: int, error: int) -> int:
        """Return a prediction with its error, modulo the range (A.4.5)."""
        value, span = px + error * self.step, self.range * self.step
        if value < -self.near:
            value += span
        elif value > self.most + self.near:
            value -= span
        return min(max(value, 0), self.most)

    def _golomb(self, k: int, limit: int) -> int:
        """Decode a number of limited length (A.5.3)."""
        one = self.bits.find("1", self.at)
        if one < 0:
            raise ValueError("the JPEG-LS image is cut off")
        zeros, self.at = one - self.at, one + 1
        if zeros < limit - self.qbpp - 1:
            return zeros << k | self._read(k)
        return self._read(self.qbpp) + 1

    def _read(self, count: int) -> int:
        """Read a number of so many bits."""
        if count == 0:
            return 0
        word = self.bits[self.at : self.at + count]
        if len(word) < count:
            raise ValueError("the JPEG-LS image is cut off")
        self.at += count
        return int(word, 2)


def _thresholds(most: int, near: int) -> tuple[int, int, int]:
    """Return the default thresholds of gradients (C.2.4.1.1.1)."""

    def clamped(value: int, low: int) -> int:
        return value if low <= value <= most else low

    if most >= 128:
        factor = (min(most, 4095) + 128) // 256
        values = [factor * (base - add) + add + grow * near
                  for base, add, grow in ((3, 2, 3), (7, 3, 5), (21, 4, 7))]  # fmt: skip
    else:
        factor = 256 // (most + 1)
        values = [max(least, base // factor + grow * near)
                  for least, base, grow in ((2, 3, 3), (3, 7, 5), (4, 21, 7))]  # fmt: skip
    t1 = clamped(values[0], near + 1)
    t2 = clamped(values[1], t1)
    return t1, t2, clamped(values[2], t2)
