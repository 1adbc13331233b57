"""The command that repeats a run."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from cmsr.config import Config


def upscale_command(
    target: Path, guide: Path | None, out: Path, config: Config, threads: int | None = None
) -> str:
    """Return the line for a shell: the preset, the seed, and every option unlike the preset's.

    Where the run had its number of threads from elsewhere, ``threads`` says it: another number may
    change the last digits.
    """
    words = ["cmsr", "upscale", str(target), *([str(guide)] if guide else []), "-o", str(out)]
    line = shlex.join([*words, *option_words(config)])
    return f"OMP_NUM_THREADS={threads} {line}" if threads else line


def option_words(config: Config) -> list[str]:
    """Return the words that say preset, seed, and every option unlike the preset's."""
    preset = Config.of(config.preset)
    words = ["--preset", config.preset, "--seed", str(config.seed)]
    for option in dataclasses.fields(Config):
        value = getattr(config, option.name)
        if option.name not in ("preset", "seed") and value != getattr(preset, option.name):
            words += _words(option.name.replace("_", "-"), value)
    return words


def _words(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if name == "native-size":
        return [f"--{name}", *map(str, value)]
    if isinstance(value, tuple):
        return [f"--{name}", ",".join(map(repr, value))]
    return [f"--{name}", str(value)]
