"""From the raw counts of a thermal camera to temperatures, and back.

A calibrated camera's counts U of a black body of temperature T follow Planck's law,
U(T) = R1 / (R2 (exp(B / T) − F)) − O. What reaches the sensor is the object's own radiation, what
it reflects, and what the air and an optional window before the lens add and take away:
W. Minkina, S. Dudzik, "Infrared Thermography: Errors and Uncertainties", Wiley 2009, chapter 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError

KELVIN = 273.15
"""0 °C in kelvin."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sensor:
    """A camera's calibration: Planck's constants, and how moist air attenuates its band."""

    r1: float
    r2: float
    b: float
    f: float
    o: float
    alpha1: float
    alpha2: float
    beta1: float
    beta2: float
    x: float


@dataclass(frozen=True)
class Conditions:
    """Radiation between object and sensor.

    Attributes
    ----------
    emissivity : float
        Of the object, above 0 to 1.
    distance : float
        To the object, in metres.
    reflected, atmospheric : float
        Apparent temperature of what the object reflects, and of the air, in °C.
    humidity : float
        Relative, 0 to 1.
    window_temperature, window_transmission : float
        Of a window before the lens: °C, and above 0 to 1 (1: there is none).
    """

    emissivity: float
    distance: float
    reflected: float
    atmospheric: float
    humidity: float
    window_temperature: float = 20.0
    window_transmission: float = 1.0


def counts(sensor: Sensor, celsius: npt.ArrayLike) -> Array:
    """Return the counts of a black body at these temperatures, nothing in between."""
    kelvin = np.asarray(celsius, np.float64) + KELVIN
    return sensor.r1 / (sensor.r2 * (np.exp(sensor.b / kelvin) - sensor.f)) - sensor.o


def transmission(sensor: Sensor, conditions: Conditions) -> float:
    """Return the share of the radiation that half of the way through the air lets through.

    Water vapour h from temperature and relative humidity; then, with d half of the distance,
    τ = X exp(−√d (α₁ + β₁ √h)) + (1 − X) exp(−√d (α₂ + β₂ √h)).
    """
    t = conditions.atmospheric
    saturated = np.exp(1.5587 + 0.06939 * t - 2.7816e-4 * t**2 + 6.8455e-7 * t**3)
    vapour = conditions.humidity * saturated
    root, way = np.sqrt(vapour), np.sqrt(conditions.distance / 2)
    near = sensor.x * np.exp(-way * (sensor.alpha1 + sensor.beta1 * root))
    far = (1 - sensor.x) * np.exp(-way * (sensor.alpha2 + sensor.beta2 * root))
    return float(near + far)


def path(sensor: Sensor, conditions: Conditions) -> tuple[float, float]:
    """Return (gain, offset): what the sensor counts is gain · object + offset.

    The window stands in the middle of the way, half of the air on each side, as the usual readers
    of these files have it.
    """
    air, glass = transmission(sensor, conditions), conditions.window_transmission
    mirrored, warm_air, warm_glass = (
        float(counts(sensor, t))
        for t in (conditions.reflected, conditions.atmospheric, conditions.window_temperature)
    )
    before = air * (1 - conditions.emissivity) * mirrored + (1 - air) * warm_air
    behind = glass * before + (1 - glass) * warm_glass
    return air * glass * air * conditions.emissivity, air * behind + (1 - air) * warm_air


def celsius(
    raw: npt.NDArray[Any], sensor: Sensor, conditions: Conditions
) -> npt.NDArray[np.float32]:
    """Turn counts into the object's temperature in °C; NaN where no temperature gives them.

    Raises
    ------
    InputError
        If the constants let nothing through or are not finite.
    """
    with np.errstate(all="ignore"):
        gain, offset = path(sensor, conditions)
        if not (np.isfinite([gain, offset]).all() and gain > 0):
            raise InputError("the calibration or the scene's values give no temperature")
        radiation = (raw.astype(np.float64) - offset) / gain + sensor.o
        kelvin = sensor.b / np.log(sensor.r1 / (sensor.r2 * radiation) + sensor.f)
        physical = np.isfinite(kelvin) & (kelvin > 0) & (radiation > 0)
    return np.where(physical, kelvin - KELVIN, np.nan).astype(np.float32)
