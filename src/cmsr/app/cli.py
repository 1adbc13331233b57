"""The command line: arguments become a command, errors a line of text and an exit code.

Only what parsing needs is imported, so that help is instant.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from cmsr import __version__
from cmsr.app import options
from cmsr.app.batch.command import Batch
from cmsr.app.commands import Align, Command, Demo, Evaluate, Info, Upscale, Web
from cmsr.config import Config
from cmsr.errors import CmsrError, OptionError, RunError
from cmsr_bench.commands import Bench, BenchTrain


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0 if it succeeds, 2 if the input or an option is wrong, else 1.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; the process's own by default.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:2] == ["bench", "train"]:
        arguments[:2] = ["bench train"]
    if arguments == ["--version"]:
        print(__version__)
        return 0
    try:
        with _terminable():
            _parse(arguments).run()
    except CmsrError as error:
        print(f"cmsr: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"cmsr: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cmsr: interrupted", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl + C does, through every clean-up, with code 143."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parse(arguments: list[str]) -> Command:
    """Return the command of the arguments; the parser's complaints become one line."""
    config = Config.of(_preset(arguments))
    commands: dict[str, Callable[..., Command]] = {
        "upscale": partial(Upscale, config=config),
        "align": Align,
        "batch": partial(Batch, config=config),
        "evaluate": Evaluate,
        "info": Info,
        "demo": Demo,
        "web": Web,
        "bench": Bench,
        "bench train": BenchTrain,
    }
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            command: Command = tyro.extras.subcommand_cli_from_dict(
                commands, args=arguments, prog="cmsr", registry=_registry()
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise OptionError(_one_line(complaint.getvalue())) from None
    return command


def _preset(arguments: list[str]) -> str:
    """Return the preset, which decides the other options' defaults, before they are parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset", default="default")
    try:
        return str(parser.parse_known_args(arguments)[0].preset)
    except argparse.ArgumentError:
        return "default"


def _registry() -> ConstructorRegistry:
    """Read and write tuples as one word: 2,4."""
    registry = ConstructorRegistry()
    kinds: dict[Any, tuple[Callable[[str], float | str], str]] = {
        tuple[float, ...]: (float, "R,R,…"),
        tuple[int, ...]: (int, "N,N,…"),
        tuple[str, ...]: (str, "NAME,NAME,…"),
    }

    @registry.primitive_rule
    def _tuples(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if info.type not in kinds:
            return None
        kind, metavar = kinds[info.type]
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=metavar,
            instance_from_str=lambda words: tuple(kind(w) for w in words[0].split(",") if w),
            is_instance=lambda value: isinstance(value, tuple),
            str_from_instance=lambda value: [options.text(value)],
        )

    return registry


def _one_line(box: str) -> str:
    """Return the first paragraph of the parser's framed message."""
    lines = [line.strip("│ ") for line in box.splitlines() if not re.match(r"\s*[╭╰]", line)]
    rules = [i for i, line in enumerate(lines) if line.startswith("─")]
    return " ".join(" ".join(lines[: rules[0] if rules else None]).split())
