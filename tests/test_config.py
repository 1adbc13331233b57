"""Options say what is wrong with them."""

import math

import pytest

from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.option_checks import check_guided
from cmsr.presets import PRESETS


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("p", -0.1),
        ("p", 1.1),
        ("p", math.nan),
        ("p", "0.3"),
        ("seed", -1),
        ("ratio", 0.5),
        ("ratio", math.inf),
        ("steps", (2, 0.5)),
        ("crop", 4),
        ("learning_rate", 0),
        ("device", "tpu"),
        ("align", "maybe"),
    ],
)
def test_a_wrong_value_names_itself_and_what_is_allowed(option: str, value: object) -> None:
    with pytest.raises(OptionError, match=rf"{option} is .*(from|choose)"):
        Config.of("paper", **{option: value})


def test_unknown_options_and_presets_are_refused() -> None:
    with pytest.raises(OptionError, match="no option is called epochs"):
        Config.of("paper", epochs=3)
    with pytest.raises(OptionError, match="choose one of default, fast, paper"):
        Config.of("best")


def test_the_paper_preset_is_the_published_setting() -> None:
    config = Config.of("paper")
    assert (config.p, config.learning_rate, config.crop, config.crop_guide_free) == (
        0.3,
        1e-4,
        48,
        128,
    )
    assert (config.iterations, config.iterations_guide_free) == (800, 3000)
    assert (config.back_projections, config.ensemble) == (6, True)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_remembers_its_name(preset: str) -> None:
    assert Config.of(preset).preset == preset


@pytest.mark.parametrize("preset", PRESETS)
def test_an_option_without_effect_is_refused_by_name(preset: str) -> None:
    other = {"solver_iterations": 9, "denoising_rounds": 9, "prior": "learned"}
    training = {
        "iterations": 9, "iterations_guide_free": 9, "crop": 9, "crop_guide_free": 9,
        "learning_rate": 0.1, "p": 0.9, "guide_p": 0.1, "guide_rate": 3.0,
        "guide_start": "kept", "warps": "both", "steps": (2.0,), "ensemble": False,
        "back_projections": 9,
    }  # fmt: skip
    idle, acting = (other, training) if preset.startswith("paper") else (training, other)
    for name, value in idle.items():
        with pytest.raises(
            OptionError, match=rf"^--(no-)?{name.replace('_', '-')} requires --preset "
        ):
            Config.of(preset, **{name: value})
        Config.of(preset, **{name: getattr(Config.of(preset), name)})
    given = Config.of(preset, **acting).given()
    assert given == {n: v for n, v in acting.items() if v != PRESETS[preset].get(n)}


def test_options_of_a_guide_need_one() -> None:
    check_guided(Config(ratio=2, align="off"), False)
    check_guided(Config.of("fast"), False)
    for options in ({"align": "affine"}, {"segments": "s.png"}):
        with pytest.raises(OptionError, match="requires a guide"):
            check_guided(Config.of(**options), False)
    for name in ("iterations", "crop"):
        with pytest.raises(OptionError, match=f"use --{name}-guide-free"):
            check_guided(Config.of("paper", **{name: 9}), False)
    with pytest.raises(OptionError, match="cannot be combined"):
        Config(ratio=2, size=(64, 48))
