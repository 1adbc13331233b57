"""From a command's dataclass to its parser and help, and from words to the command.

A field with an `Argument` is an argument of the command line; the docstring below it is its help.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn, get_args, get_origin, get_type_hints

from docstring_parser import parse_from_object

from cmsr.app import options
from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.option_checks import named
from cmsr.presets import PRESETS

PLACEHOLDERS = {int: "N", float: "X", Path: "FILE", str: "TEXT"}
"""Placeholder of a value in help, by its type."""

BARE = {"colour_mapped": "auto"}
"""Options that may stand without a value, and what that means."""

ALIKE = 0.6
"""Similarity from which a word that is not known may be meant for one that is (difflib's own)."""


@dataclass(frozen=True)
class Argument:
    """How a field of a command appears on the command line.

    Attributes
    ----------
    short : str
        Another name, such as ``-o``.
    name : str
        The option's name, if it is not the field's.
    placeholder : str
        What stands for the value in help.
    group : str
        Title of the group in help.
    positional : bool
        Whether it is given by its place.
    """

    short: str = ""
    name: str = ""
    placeholder: str = ""
    group: str = ""
    positional: bool = False


@dataclass(frozen=True)
class Option:
    """One argument of a command: a field of its class or, without a command's own, of `Config`."""

    name: str
    of: type
    about: Argument
    help: str
    default: Any

    @property
    def word(self) -> str:
        """Its name on the command line."""
        return self.about.placeholder if self.about.positional else self.flag

    @property
    def flag(self) -> str:
        """Its name as an option."""
        return named(self.about.name or self.name)

    @property
    def required(self) -> bool:
        """Whether the command cannot do without."""
        return self.default is dataclasses.MISSING

    @property
    def usage(self) -> str:
        """How it stands in the line that shows the use of the command."""
        word = self.word if self.about.positional else f"{self.about.short} {self.placeholders[0]}"
        return word if self.required else f"[{word}]"

    def add_to(self, group: argparse._ArgumentGroup) -> None:
        """Add it to a group of a parser."""
        kind, text = options.kinds(self.name, self.of)[0], self._described()
        if self.about.positional:
            place = group.add_argument(self.name, nargs="?", metavar=self.word, help=text)
            place.default = argparse.SUPPRESS
            _completed(place, kind)
            return
        names = [self.about.short, self.flag] if self.about.short else [self.flag]
        if kind is bool:
            other = named(f"no_{self.name}")
            shown, hidden = ([other], names) if self.default else (names, [other])
            for flags, value in ((shown, not self.default), (hidden, self.default)):
                group.add_argument(
                    *flags, dest=self.name, action="store_const", const=value,
                    default=argparse.SUPPRESS, help=text if flags is shown else argparse.SUPPRESS,
                )  # fmt: skip
            return
        words = self.placeholders
        option = group.add_argument(
            *names, dest=self.name, nargs=self._nargs(len(words)), const=BARE.get(self.name),
            metavar=tuple(words) if len(words) > 1 else words[0], default=argparse.SUPPRESS,
            help=text,
        )  # fmt: skip
        _completed(option, kind)

    def _nargs(self, words: int) -> int | str | None:
        return "?" if self.name in BARE else words if words > 1 else None

    @property
    def placeholders(self) -> list[str]:
        """What stands for its value in help, word by word."""
        kind = options.kinds(self.name, self.of)[0]
        if get_origin(kind) is Literal:
            return ["{" + ",".join(get_args(kind)) + "}"]
        if self.about.placeholder:
            return self.about.placeholder.split()
        return [f"{PLACEHOLDERS[get_args(kind)[0]]},…" if get_origin(kind) is tuple
                else PLACEHOLDERS[kind]]  # fmt: skip

    def _described(self) -> str:
        """Return the help with the default, and with the presets' where these differ."""
        if self.default is True:
            return f"Without {self.help[:1].lower()}{self.help[1:]}".replace("%", "%%")
        if self.default in (None, False, (), "", dataclasses.MISSING):
            return self.help.replace("%", "%%")
        others = [(preset, its[self.name]) for preset, its in PRESETS.items() if self.name in its]
        unlike = "".join(f"; {value} with --preset {preset}" for preset, value in others)
        shown = options.text(self.default)
        return f"{self.help.removesuffix('.')} (default: {shown}{unlike}).".replace("%", "%%")


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors of one line, and whose options are never shortened."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            add_help=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )

    def error(self, message: str) -> NoReturn:
        """Raise the complaint."""
        raise OptionError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


class Command:
    """A command: its arguments are its fields, its help their docstrings."""

    examples: ClassVar[tuple[str, ...]] = ()
    surplus: ClassVar[str] = ""
    """Advice where an argument too many is given."""

    def run(self) -> None:
        """Run the command."""
        raise NotImplementedError


def parser_of(command: type[Command], prog: str) -> Parser:
    """Return a command's parser: the most needed first, then groups, then examples."""
    listed = list(options_of(command))
    usage = " ".join([prog, *(o.usage for o in listed if o.required or o.about.positional)])
    examples = "\n".join(f"  {line}" for line in command.examples)
    parser = Parser(
        prog=prog,
        usage=f"{usage} [options]",
        description=_meaning(command)[""],
        epilog=f"examples:\n{examples}" if examples else None,
    )
    places = parser.add_argument_group("files")
    titles = dict.fromkeys(option.about.group for option in listed if not option.about.positional)
    groups = {title: parser.add_argument_group(title or "options") for title in titles}
    for option in listed:
        option.add_to(places if option.about.positional else groups[option.about.group])
    last = groups.get("", parser)
    last.add_argument("-h", "--help", action="help", help="Show this help.")
    return parser


def command_of(command: type[Command], prog: str, words: Sequence[str]) -> Command:
    """Return a command from the words after its name.

    Raises
    ------
    OptionError
        If a word is not known, an argument is missing, or a value is wrong.
    """
    listed = list(options_of(command))
    parser = parser_of(command, prog)
    found, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        flags = [name for action in parser._actions for name in action.option_strings]
        raise OptionError(_unknown(unknown, flags, prog, command.surplus))
    given = vars(found)
    missing = [option for option in listed if option.required and option.name not in given]
    if missing:
        wanted = " and ".join(option.usage for option in missing)
        raise OptionError(f"{prog} needs {wanted}; see {prog} --help")
    read = {
        option.name: (option.of, options.parse(option.name, given[option.name], option.of))
        for option in listed
        if option.name in given
    }
    own = {name: value for name, (of, value) in read.items() if of is command}
    if any(field.name == "config" for field in dataclasses.fields(command)):  # type: ignore[arg-type]
        own["config"] = _config({n: value for n, (of, value) in read.items() if of is Config})
    return command(**own)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a question that names what may have been meant, or nothing.

    >>> did_you_mean("upscal", ["align", "upscale"])
    '; did you mean upscale?'
    """
    near = difflib.get_close_matches(word, known, n=1, cutoff=ALIKE)
    return f"; did you mean {near[0]}?" if near else ""


def _config(given: dict[str, Any]) -> Config:
    """Return the options; one that acts only with another preset is refused, whatever its value."""
    config = Config.of(**given)
    config.check_method(given)
    return config


def _unknown(words: Sequence[str], flags: Sequence[str], prog: str, surplus: str) -> str:
    word = next((word for word in words if word.startswith("-")), words[0]).partition("=")[0]
    if word.startswith("-"):
        return f"no option is called {word}{did_you_mean(word, flags) or f'; see {prog} --help'}"
    return f"unexpected argument {word!r}; {surplus or f'see {prog} --help'}"


def options_of(command: type[Command]) -> Iterator[Option]:
    """Yield the arguments of a command in the order of its help."""
    hints, meaning = get_type_hints(command, include_extras=True), _meaning(command)
    own: list[Option] = []
    for field in dataclasses.fields(command):  # type: ignore[arg-type]
        if field.name == "config":
            own += _of_config()
            continue
        marks = [
            m for m in getattr(hints[field.name], "__metadata__", ()) if isinstance(m, Argument)
        ]
        about = marks[0] if marks else Argument()
        own.append(Option(field.name, command, about, meaning[field.name], field.default))
    yield from (option for option in own if not option.about.group)
    yield from (option for option in own if option.about.group)


def _of_config() -> list[Option]:
    """Return the options of `Config` in their groups; one in no group comes with the first."""
    meaning, defaults = _meaning(Config), {f.name: f.default for f in dataclasses.fields(Config)}
    group = {name: title for title, names in options.GROUPS.items() for name in names}
    ordered = sorted(defaults, key=lambda name: (*group, name).index(name))
    return [
        Option(
            name,
            Config,
            Argument(placeholder=options.PLACEHOLDERS.get(name, ""), group=group.get(name, "")),
            meaning[name],
            defaults[name],
        )
        for name in ordered
    ]


def _meaning(of: type) -> dict[str, str]:
    """Return the docstrings of a class's fields; that of the class itself under ``""``."""
    parsed = parse_from_object(of)
    texts = {each.arg_name: each.description or "" for each in parsed.params}
    return {"": parsed.short_description or ""} | {
        name: " ".join(text.split()) for name, text in texts.items()
    }


def _completed(action: argparse.Action, kind: Any) -> None:
    """Say what a shell may complete a value with; `options.parse` checks it."""
    if kind is Path:
        action.complete = FILES  # type: ignore[attr-defined]
    elif get_origin(kind) is Literal:
        action.words = get_args(kind)  # type: ignore[attr-defined]


FILES = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
"""File names, in the words of shtab."""
