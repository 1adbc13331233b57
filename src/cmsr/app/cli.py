"""The command line: arguments become a command, errors a line of text and an exit code.

Only what parsing needs is imported, so that help is instant.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from cmsr import __version__
from cmsr.app.arguments import Command, command_of, did_you_mean, parser_of
from cmsr.app.batch.command import Batch
from cmsr.app.commands import Demo, Evaluate, Info, Web
from cmsr.app.extras import needing
from cmsr.app.interrupts import INTERRUPTED, PIPE_CLOSED, ended_by_signals, leave
from cmsr.app.pair_commands import Align, Upscale
from cmsr.app.rig_command import FindRig
from cmsr.errors import CmsrError, OptionError, RunError
from cmsr_bench.commands import Bench, BenchTrain

COMMANDS: dict[str, type[Command]] = {
    "upscale": Upscale,
    "align": Align,
    "batch": Batch,
    "rig": FindRig,
    "info": Info,
    "evaluate": Evaluate,
    "web": Web,
    "demo": Demo,
    "bench": Bench,
    "bench train": BenchTrain,
}

SHELLS = ("bash", "zsh", "tcsh")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0 if it succeeds, 2 if the input or an option is wrong, else 1.

    It returns 130 after Ctrl-C, and 141 if nobody reads what it prints.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; the process's own by default.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _print_what_can_be()
    code = 0
    try:
        with ended_by_signals():
            try:
                if not _answered(arguments):
                    _parse(arguments).run()
            finally:
                sys.stdout.flush()
    except CmsrError as error:
        print(f"cmsr: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    except RunError as error:
        print(f"cmsr: {' '.join(str(error).split())}", file=sys.stderr)
        code = 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = PIPE_CLOSED
    except KeyboardInterrupt:
        print("cmsr: interrupted", file=sys.stderr)
        if argv is None:
            leave()
        code = INTERRUPTED
    return code


def _print_what_can_be() -> None:
    """Print "?" for signs that a terminal of an old encoding, such as Windows' pipes, has not."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _answered(arguments: list[str]) -> bool:
    """Print the version, the help or a shell's completion where that is all that is asked for."""
    if arguments == ["--version"]:
        print(f"cmsr {__version__}")
    elif arguments in ([], ["-h"], ["--help"], ["help"]):
        print(_overview())
    elif arguments[:1] == ["--print-completion"]:
        print(_completion(arguments[1:]))
    else:
        return False
    return True


def _parse(arguments: list[str]) -> Command:
    """Return the command of the arguments, or show its help."""
    count = 2 if arguments[:2] == ["bench", "train"] else 1
    name, rest = " ".join(arguments[:count]), arguments[count:]
    if name not in COMMANDS:
        hint = did_you_mean(name, list(COMMANDS)) or "; see cmsr --help"
        what = "option" if name.startswith("-") else "command"
        raise OptionError(f"no {what} is called {name}{hint}")
    return command_of(COMMANDS[name], f"cmsr {name}", rest)


def _overview() -> str:
    """Return what `cmsr --help` prints."""
    inside = [name for name in COMMANDS if name != "bench train"]
    lines = [f"  {name:10} {parser_of(COMMANDS[name], name).description}" for name in inside]
    return "\n".join(
        [
            "usage: cmsr COMMAND [arguments]",
            "",
            "A sharp thermal, near-infrared, depth or multispectral image from one low-resolution",
            "image and one photo of the same scene.",
            "",
            "commands:",
            *lines,
            "",
            "options:",
            "  -h, --help                   Show this help; cmsr COMMAND --help shows a command's.",
            "  --version                    Show the version.",
            f"  --print-completion SHELL     Print the completion script for {', '.join(SHELLS)}:",
            '                               eval "$(cmsr --print-completion bash)"',
            "",
            "examples:",
            "  cmsr upscale FLIR.jpg -o sharp.tif --report report.html",
            "  cmsr upscale thermal.tif photo.jpg -o sharp.tif --preview look.png",
            "  cmsr web",
        ]
    )


def _completion(arguments: list[str]) -> str:
    """Return the script that completes commands, options and files in a shell."""
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        raise OptionError(f"--print-completion needs one of {', '.join(SHELLS)}")
    import argparse

    with needing("completion"):
        import shtab

    whole = argparse.ArgumentParser(prog="cmsr")
    places = whole.add_subparsers()
    for name, command in COMMANDS.items():
        if name != "bench train":
            part = parser_of(command, f"cmsr {name}")
            for action in part._actions:
                action.choices = getattr(action, "words", None)
            places.add_parser(name, parents=[part], add_help=False, help=part.description)
    return str(shtab.complete(whole, arguments[0]))
