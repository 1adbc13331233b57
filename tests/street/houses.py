"""A row of house fronts: walls, windows, doors, a shop, posters and graffiti."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from tests.street.textures import (
    Floats,
    Region,
    Surface,
    fractal_noise,
    lettering,
    single,
    soften,
)

FLOOR = 2.9
EAVES = 5.7
_STONE = (0.42, 0.40, 0.36)
_WORDS = ("BAKERY", "CAFE LUNA", "BOOKS & TEA", "FLORIST", "BARBER", "RECORDS", "PIZZERIA")
_TAGS = ("NOVA", "KOI", "RIOT", "ZEPH", "MOKA", "ECHO")
_SPRAYS = ((178, 62, 48), (52, 104, 150), (206, 160, 60), (196, 196, 190), (90, 130, 84))
_POSTERS = (("JAZZ", "LIVE"), ("CIRCUS", "MAY 12"), ("VOTE", "GREEN"), ("FILM", "FEST"))
_WALLS = (
    ("brick", (0.30, 0.115, 0.075)),
    ("plaster", (0.56, 0.47, 0.33)),
    ("brick", (0.36, 0.22, 0.13)),
    ("plaster", (0.40, 0.44, 0.43)),
    ("plaster", (0.52, 0.33, 0.25)),
    ("brick", (0.22, 0.10, 0.08)),
)


def house_row(rng: np.random.Generator, length: float, scale: float) -> Surface:
    """Paint a row of adjoining houses ``length`` metres long, from the ground to the eaves."""
    shape = (round(EAVES * scale), round(length * scale))
    v = np.arange(shape[0])[:, None] / scale
    celsius = 10.2 + 1.3 * np.exp(-v / 1.1) + 0.35 * fractal_noise(rng, shape, 1.3)
    surface = Surface(scale, single(celsius))
    styles = rng.permutation(len(_WALLS))
    left, index = -rng.uniform(0.0, 3.0), 0
    shop = int(rng.integers(1, 3))
    while left < length:
        width = rng.uniform(5.6, 7.2)
        kind, colour = _WALLS[styles[index % len(_WALLS)]]
        _paint_wall(surface, rng, surface.region(left, 0, width, EAVES), kind, colour)
        _paint_house(surface, rng, left, width, shop=index == shop)
        left, index = left + width, index + 1
    _weather(surface, rng)
    return surface


def _paint_wall(
    surface: Surface, rng: np.random.Generator, region: Region, kind: str, colour: ArrayLike
) -> None:
    """Cover a house front with brick or plaster."""
    rows, cols = surface.relief[region].shape
    base = single(colour) * rng.uniform(0.85, 1.15)
    mottle = fractal_noise(rng, (rows, cols), 0.9)[..., None]
    surface.albedo[region] = base * (1 + 0.07 * mottle)
    if kind == "brick":
        _lay_bricks(surface, rng, region, base * (1 + 0.10 * mottle))


def _lay_bricks(surface: Surface, rng: np.random.Generator, region: Region, colour: Floats) -> None:
    """Lay courses of bricks of a colour (rows, columns, 3), every brick a little different."""
    rows, cols = surface.relief[region].shape
    v = np.arange(rows)[:, None] / surface.scale / 0.083
    u = np.arange(cols)[None, :] / surface.scale / 0.25 + 0.5 * (v.astype(int) % 2)
    joint = np.minimum(np.minimum(v % 1, 1 - v % 1) * 0.083, np.minimum(u % 1, 1 - u % 1) * 0.25)
    brick = np.clip((joint - 0.004) * surface.scale / 0.7, 0, 1)[..., None]
    course, place = np.broadcast_arrays(v.astype(int), u.astype(int))
    tones = 1 + 0.22 * rng.standard_normal((rows, cols, 1)).clip(-2, 2)
    tint = 1 + 0.06 * rng.standard_normal((rows, cols, 3))
    fired = colour * (tones * tint)[course, place]
    mortar = single([0.36, 0.33, 0.29])
    surface.albedo[region] = mortar + brick * (fired - mortar)
    surface.relief[region] = 0.006 * brick[..., 0]
    surface.celsius[region] -= 0.12 * (1 - brick[..., 0])


def _paint_house(
    surface: Surface, rng: np.random.Generator, left: float, width: float, *, shop: bool
) -> None:
    """Add plinth, cornices, windows, a door or a shop front, and what only one band sees."""
    trim = single(_STONE) * rng.uniform(0.8, 1.25)
    frame = single([(0.62, 0.60, 0.55), (0.11, 0.13, 0.11), (0.24, 0.12, 0.07)])[rng.integers(3)]
    surface.paint(surface.region(left, 0, width, 0.5), trim * 0.75, 0.035, 0.7)
    surface.paint(surface.region(left, FLOOR, width, 0.13), trim, 0.06, 0.6)
    surface.paint(surface.region(left, EAVES - 0.22, width, 0.22), trim, 0.14)
    surface.heat(left + width / 2, FLOOR, (width / 2.6, 0.12), 0.9)
    surface.heat(left + width * rng.uniform(0.3, 0.37), 2.6, (0.06, 1.5), 2.2)
    bays = left + width * (np.arange(3) + 0.5) / 3
    leaking = int(rng.integers(3))
    for bay, u in enumerate(bays):
        _paint_window(surface, rng, (u - 0.5, 3.6, 1.0, 1.5), frame, leaking=bay == leaking)
    entrance = int(rng.choice([0, 2]))
    _paint_door(surface, rng, bays[entrance] - 0.5)
    others = [u for bay, u in enumerate(bays) if bay != entrance]
    if shop:
        middle = sum(others) / 2
        _paint_window(surface, rng, (middle - 1.5, 0.6, 3.0, 1.8), frame, leaking=False)
        _paint_sign(surface, rng, middle - 1.7, 2.45, 3.4)
    else:
        for u in others:
            _paint_window(surface, rng, (u - 0.55, 1.0, 1.1, 1.5), frame, leaking=False)
            surface.heat(u, 0.72, (0.4, 0.22), rng.uniform(0.8, 2.6))
    pipe = surface.region(left - 0.05, 0, 0.11, EAVES - 0.2)
    surface.paint(pipe, (0.13, 0.13, 0.12), 0.09, -0.6)


def _paint_window(
    surface: Surface,
    rng: np.random.Generator,
    opening: tuple[float, float, float, float],
    frame: Floats,
    *,
    leaking: bool,
) -> None:
    """Set a window into (left, low, width, height): lintel, sill, frame, panes."""
    left, low, width, height = opening
    stone = single(_STONE) * rng.uniform(0.9, 1.3)
    surface.paint(surface.region(left - 0.1, low + height, width + 0.2, 0.17), stone, 0.02, 0.2)
    surface.paint(surface.region(left - 0.1, low - 0.09, width + 0.2, 0.09), stone, 0.07, 0.3)
    surface.paint(surface.region(left, low, width, height), frame, -0.11, 1.4)
    if leaking:
        surface.heat(left + width / 2, low + height + 0.12, (0.32, 0.16), 4.5)
        surface.celsius[surface.region(left, low + height - 0.1, width, 0.1)] += 4.0
    hole = surface.region(left, low, width, height)
    rows, cols = surface.relief[hole].shape
    if not cols:
        return  # the row of houses ends before this window
    u = np.arange(cols)[None, :] / surface.scale
    v = np.arange(rows)[:, None] / surface.scale
    pitch = (width - 0.06) / (2 if width < 2 else 4)
    pane = (u % pitch > 0.06) & (v > 0.07) & (v < height - 0.06) & (abs(v - 0.7 * height) > 0.03)
    view = _view(rng, single(u / width), single(v / height), lit=rng.random() < 0.2)
    surface.albedo[hole] = np.where(pane[..., None], view, surface.albedo[hole])
    surface.relief[hole] = np.where(pane, -0.13, surface.relief[hole])
    surface.glass[hole] = pane
    mirrored = 6.5 - 3.7 * v / height
    surface.celsius[hole] = np.where(pane, mirrored, surface.celsius[hole])


def _view(rng: np.random.Generator, u: Floats, v: Floats, *, lit: bool) -> Floats:
    """Return what a window shows at u, v in 0..1: room, curtains, the mirrored street."""
    u, v = u[..., None], v[..., None]
    lamp = single([0.62, 0.38, 0.17]) * (0.10 + 0.75 * v**2)
    room = single([0.020, 0.022, 0.026]) + lit * lamp
    folds = 0.75 + 0.25 * np.sin(2 * np.pi * (u * rng.uniform(9, 13) + 0.2 * v))
    cloth = single([0.42, 0.40, 0.36]) * rng.uniform(0.5, 1.0) * folds * (1.4 if lit else 0.7)
    gap = rng.uniform(0.12, 0.4) + 0.05 * v
    drawn = np.clip((np.abs(u - 0.5) - 0.5 + gap) * 40, 0, 1)
    room = room + drawn * (cloth - room)
    skyline = rng.uniform(0.4, 0.75) + 0.04 * fractal_noise(rng, (1, u.shape[1]), 1.5)[..., None]
    sky = np.clip((v - skyline) * 25, 0, 1) * single([0.42, 0.50, 0.60]) * (0.6 + 0.5 * v)
    return single(0.85 * room + (0.25 if lit else 0.55) * sky)


def _paint_door(surface: Surface, rng: np.random.Generator, left: float) -> None:
    """Set a panelled door with a fanlight and a step."""
    colour = single([(0.05, 0.12, 0.10), (0.20, 0.03, 0.03), (0.05, 0.08, 0.17)])
    paint = colour[rng.integers(3)]
    stone = single(_STONE) * 1.15
    surface.paint(surface.region(left - 0.16, 0, 1.32, 2.62), stone, 0.05)
    surface.paint(surface.region(left, 0.14, 1.0, 2.36), paint, -0.14, 1.1)
    surface.paint(surface.region(left, 2.08, 1.0, 0.07), paint * 1.4, -0.08, 1.5)
    light = surface.region(left + 0.08, 2.18, 0.84, 0.26)
    surface.paint(light, (0.20, 0.23, 0.27), -0.16)
    surface.glass[light], surface.celsius[light] = 1.0, 4.5
    for u in (0.12, 0.55):
        for v, height in ((0.3, 0.6), (1.02, 0.9)):
            panel = surface.region(left + u, v, 0.33, height)
            surface.paint(panel, paint * 0.85, -0.165, -0.5)
    surface.paint(surface.region(left + 0.86, 1.05, 0.05, 0.1), (0.55, 0.42, 0.15), -0.1)
    surface.heat(left + 0.5, 0.15, (0.45, 0.06), 2.5)


def _paint_sign(
    surface: Surface, rng: np.random.Generator, left: float, low: float, width: float
) -> None:
    """Mount a shop sign; the letters are flat paint, invisible to the thermal camera."""
    board = single([(0.04, 0.10, 0.08), (0.22, 0.04, 0.04), (0.06, 0.07, 0.12)])
    region = surface.region(left, low, width, 0.46)
    surface.paint(region, board[rng.integers(3)], 0.09, -0.4)
    name = lettering(
        str(rng.choice(_WORDS)), round(0.36 * surface.scale), (236, 214, 160), (60, 40, 20), 0
    )
    surface.decal(left + (width - name.width / surface.scale) / 2, low + 0.08, name)


def _weather(surface: Surface, rng: np.random.Generator) -> None:
    """Stain the walls, and put posters and graffiti on them: RGB texture at one temperature."""
    shape = surface.relief.shape
    solid = (1 - surface.glass)[..., None]
    v = np.linspace(0, EAVES, shape[0], dtype=np.float32)[:, None]
    streaks = fractal_noise(rng, shape, 0.8, stretch=6.0)
    dirt = 0.06 * fractal_noise(rng, shape, 1.2) + 0.05 * streaks - 0.25 * np.exp(-v / 0.25)
    surface.albedo *= 1 + solid * dirt[..., None].clip(-0.5, 0.3)
    plain = soften(np.abs(surface.relief) + surface.glass, 4)
    px = surface.scale
    for _ in range(5):
        top, bottom = _POSTERS[rng.integers(len(_POSTERS))]
        _post(surface, rng, _poster(rng, top, bottom, px), plain, (1.0, 1.4))
    for _ in range(4):
        ink = _SPRAYS[rng.integers(len(_SPRAYS))]
        word = str(rng.choice(_TAGS))
        tag = lettering(word, round(0.46 * px), ink, (24, 22, 26), round(0.04 * px))
        lean = (1, 0.28, -0.15 * tag.height, rng.uniform(-0.1, 0.1), 1, 0)
        tag = tag.transform(tag.size, Image.Transform.AFFINE, lean, Image.Resampling.BILINEAR)
        _post(surface, rng, tag, plain, (0.1, 1.2))


def _poster(rng: np.random.Generator, top: str, bottom: str, scale: float) -> Image.Image:
    """Draw a bill of 0.5 x 0.7 m."""
    width, height = round(0.5 * scale), round(0.7 * scale)
    ground, ink = ((int(c) for c in rng.integers(a, b, 3)) for a, b in ((150, 240), (10, 110)))
    bill = Image.new("RGBA", (width, height), (*ground, 255))
    pen, colour = ImageDraw.Draw(bill), (*ink, 255)
    pen.ellipse((width * 0.2, height * 0.3, width * 0.8, height * 0.72), fill=colour)
    font = ImageFont.load_default(round(0.12 * scale))
    pen.text((width / 2, height * 0.16), top, colour, font, anchor="mm")
    pen.text((width / 2, height * 0.86), bottom, colour, font, anchor="mm")
    return bill


def _post(
    surface: Surface,
    rng: np.random.Generator,
    picture: Image.Image,
    plain: Floats,
    heights: tuple[float, float],
) -> None:
    """Paste a picture at the flattest of some random places, if it is flat, and mark it taken.

    Parameters
    ----------
    plain : float32 array (rows, columns)
        0 where the wall is free and flat; the place taken is raised.
    heights : (float, float)
        Lowest and highest position of the picture's lower edge in metres.
    """
    width, height = picture.width / surface.scale, picture.height / surface.scale
    places = [(rng.uniform(4.5, 15.5), rng.uniform(*heights)) for _ in range(80)]
    rough = [float(plain[surface.region(u, v, width, height)].max()) for u, v in places]
    best = places[int(np.argmin(rough))]
    if min(rough) > 0.045:
        return
    surface.decal(*best, picture)
    plain[surface.region(*best, width, height)] += 1.0
