"""Places set by hand: a CSV file of points that are the same in target and photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from cmsr.errors import InputError
from cmsr.io.pair_table import read_file
from cmsr.registration.placement import Placement
from cmsr.registration.transforms import Size

COLUMNS = ("target_x", "target_y", "photo_x", "photo_y")


def read_points(path: str) -> npt.NDArray[np.float64]:
    """Read rows (n, 4) of places in pixels, from the top left corners of both images.

    Raises
    ------
    InputError
        If the file cannot be read, or a number is missing.
    """
    points = []
    for line, row in read_file(Path(path), COLUMNS):
        try:
            points.append([float(row[name]) for name in COLUMNS])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: line {line}: expected numbers {', '.join(COLUMNS)}"
            ) from error
    if not np.isfinite(points).all():
        raise InputError(f"{path}: coordinates must be finite numbers")
    return np.array(points, np.float64).reshape(-1, 4)


def placed_by(path: str, target: Size, photo: Size) -> tuple[Placement, str]:
    """Fit a placement to a file of points; return it and what to say of it.

    Raises
    ------
    InputError
        If the points do not settle a map.
    """
    points = read_points(path)
    try:
        found = fitted(points, target, photo)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return (
        found,
        f"{path}: {len(points)} points, {found.text()}, residual {residual(found, points):.2g} px",
    )


def residual(found: Placement, points: npt.NDArray[np.float64]) -> float:
    """Return by how much points are missed, root mean square, in pixels of the photo."""
    grid = torch.tensor(points[:, :2] * 2 / np.array(found.target[::-1]) - 1)
    away = found.places(grid).numpy() - points[:, 2:]
    return float(np.sqrt((away**2).sum(1).mean()))


def fitted(points: npt.NDArray[np.float64], target: Size, photo: Size) -> Placement:
    """Fit a placement to rows (target x, target y, photo x, photo y), in pixels.

    Two rows give a similarity, three an affine map, four a perspective; more: least squares.

    Raises
    ------
    ValueError
        If they do not settle a map that keeps the plane's orientation.
    """
    here = (points[:, :2] - np.array(target[::-1]) / 2) / (max(target) / 2)
    there = points[:, 2:] / max(photo)
    rows = np.concatenate(
        [_equations(len(points), *a, *b) for a, b in zip(here, there, strict=True)]
    )
    if len(points) < 2 or np.linalg.matrix_rank(rows, 1e-6) < rows.shape[1]:
        raise ValueError("the points do not determine a map; two or more are needed, well apart")
    m = np.linalg.lstsq(rows, there.ravel(), rcond=None)[0]
    if len(points) == 2:
        m = np.array([m[0], -m[1], m[2], m[1], m[0], m[3]])
    matrix = np.append(np.append(m, [0.0, 0.0])[:8], 1.0).reshape(3, 3)
    if np.linalg.det(matrix) <= 0:
        raise ValueError("the points would mirror the photo; are columns or rows swapped?")
    matrix[:2] *= max(photo)
    rows_ = tuple(tuple(float(x) for x in row) for row in matrix)
    return Placement(target, photo, rows_)


def _equations(count: int, x: float, y: float, u: float, v: float) -> list[list[float]]:
    """Return the two linear equations of a pair of points."""
    if count == 2:
        return [[x, -y, 1, 0], [y, x, 0, 1]]
    if count == 3:
        return [[x, y, 1, 0, 0, 0], [0, 0, 0, x, y, 1]]
    return [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
