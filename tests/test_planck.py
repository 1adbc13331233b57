"""Counts and temperatures are each other's inverse, and physics' limits hold."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmsr.errors import InputError
from cmsr.thermal import planck

SENSOR = planck.Sensor(
    r1=16951.797,
    r2=0.014294867,
    b=1435.1,
    f=1.0,
    o=-7142,
    alpha1=0.006569,
    alpha2=0.01262,
    beta1=-0.002276,
    beta2=-0.00667,
    x=1.9,
)
CLEAR = planck.Conditions(emissivity=1, distance=0, reflected=20, atmospheric=20, humidity=0.5)

scenes = st.builds(
    planck.Conditions,
    emissivity=st.floats(0.2, 1),
    distance=st.floats(0, 200),
    reflected=st.floats(-20, 60),
    atmospheric=st.floats(-20, 45),
    humidity=st.floats(0, 1),
    window_temperature=st.floats(-10, 50),
    window_transmission=st.floats(0.5, 1),
)


def observed(
    celsius: np.ndarray, sensor: planck.Sensor, conditions: planck.Conditions
) -> np.ndarray:
    """Return the counts that a camera sees of objects at these temperatures."""
    gain, offset = planck.path(sensor, conditions)
    return gain * planck.counts(sensor, celsius) + offset


@given(scenes, st.floats(-40, 500))
def test_what_a_camera_sees_of_a_temperature_is_that_temperature(
    scene: planck.Conditions, celsius: float
) -> None:
    seen = observed(np.array([celsius]), SENSOR, scene)
    assert planck.celsius(seen, SENSOR, scene)[0] == pytest.approx(celsius, abs=1e-3)


def test_nothing_between_is_the_law_itself() -> None:
    raw = np.array([16800.0])
    law = SENSOR.b / np.log(SENSOR.r1 / (SENSOR.r2 * (raw + SENSOR.o)) + SENSOR.f) - 273.15
    assert planck.celsius(raw, SENSOR, CLEAR)[0] == pytest.approx(law[0], abs=1e-4)


@given(scenes)
def test_a_scene_of_one_temperature_shows_it_whatever_is_between(scene: planck.Conditions) -> None:
    even = dataclasses.replace(scene, reflected=20, atmospheric=20, window_temperature=20)
    raw = planck.counts(SENSOR, np.array([20.0]))
    assert planck.celsius(raw, SENSOR, even)[0] == pytest.approx(20, abs=1e-3)


def test_temperature_rises_with_counts_and_lower_emissivity_means_hotter() -> None:
    raw = np.linspace(15000, 40000, 50)
    bright = planck.celsius(raw, SENSOR, CLEAR)
    assert (np.diff(bright) > 0).all()
    dull = planck.celsius(raw, SENSOR, dataclasses.replace(CLEAR, emissivity=0.6))
    assert (dull[bright > 21] > bright[bright > 21]).all()


def test_longer_and_moister_air_lets_less_through() -> None:
    near, far, moist = (
        planck.transmission(SENSOR, dataclasses.replace(CLEAR, **change))
        for change in ({"distance": 1}, {"distance": 100}, {"distance": 100, "humidity": 0.9})
    )
    assert 1 >= near > far > moist > 0


def test_counts_below_any_radiation_are_holes() -> None:
    celsius = planck.celsius(np.array([0, 16800], np.uint16), SENSOR, CLEAR)
    assert np.isnan(celsius[0])
    assert np.isfinite(celsius[1])


@pytest.mark.parametrize("change", [{"emissivity": 0.0}, {"emissivity": float("nan")}])
def test_impossible_scenes_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(InputError, match="give no temperature"):
        planck.celsius(np.ones((2, 2)), SENSOR, dataclasses.replace(CLEAR, **change))
