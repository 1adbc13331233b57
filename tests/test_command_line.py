"""Help, completion, mistyped words, pipes and Ctrl-C, as a shell's user meets them."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmsr.app import options, summary
from cmsr.app.arguments import parser_of
from cmsr.app.batch.progress import Tally, display
from cmsr.app.cli import COMMANDS, _parse, main
from cmsr.app.interrupts import PIPE_CLOSED
from cmsr.app.job import Job
from cmsr.app.pair_commands import Upscale
from cmsr.app.progress import Work
from cmsr.app.terminal_line import terminal_line
from cmsr.config import Config
from cmsr.io import image_files
from cmsr.progress import (
    ALIGNING,
    KERNEL,
    PLACING,
    READING,
    SOLVING,
    TRAINING,
    VALIDATING,
    WRITING,
)  # fmt: skip
from tests.conftest import SyntheticPair

PROGRAM = [sys.executable, "-c", "import sys; from cmsr.app.cli import main; sys.exit(main())"]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Run a command that must not succeed in silence; return its code and its only line."""
    code = main(list(words))
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return code, line


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_names_every_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed for name in COMMANDS if name != "bench train")
    assert "--version" in printed
    assert "--print-completion" in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_grouped_plain_and_ends_with_an_example(name: str) -> None:
    text = parser_of(COMMANDS[name], f"cmsr {name}").format_help()
    assert text.rstrip().splitlines()[-1].startswith("  cmsr ")
    assert not [word for word in ("None", "--no-quiet", "PATH", "''") if word in text]
    assert all(len(line) < 100 for line in text.splitlines())


def test_the_help_of_upscale_opens_with_what_most_people_need() -> None:
    text = parser_of(Upscale, "cmsr upscale").format_help()
    first = text[: text.index("more output:")]
    for word in ("TARGET", "PHOTO", "-o", "--preset", "--ratio", "--size", "--report", "--preview"):
        assert word in first
    assert "--learning-rate" in text[text.index("only with --preset paper or paper-plus:") :]


def test_every_option_has_a_group() -> None:
    grouped = [name for names in options.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(Config.__dataclass_fields__)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("upscal a b", "no command is called upscal; did you mean upscale?"),
        ("--versoin", "no option is called --versoin; see cmsr --help"),
        ("upscale a -o b --presett fast", "no option is called --presett; did you mean --preset?"),
        ("upscale a -o b --ratio=4x", "ratio is '4x'; it must be a number"),
        ("upscale a -o b --size 640", "--size: expected 2 arguments; see cmsr upscale --help"),
        ("upscale", "cmsr upscale needs TARGET and -o OUT; see cmsr upscale --help"),
        ("upscale a b c -o d", "unexpected argument 'c'; see cmsr upscale --help"),
        ("upscale a -o b --p 0.3", "--p requires --preset paper or paper-plus"),
        ("batch p.csv -o b --format jpg", "format is 'jpg'; choose one of tif, png, npy, exr"),
        ("bench trian djf p.csv -o b", "unexpected argument 'djf'; see cmsr bench --help"),
        ("--print-completion", "--print-completion needs one of bash, zsh, tcsh"),
    ],
)
def test_a_wrong_word_is_answered_in_one_line(
    words: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, *words.split()) == (2, f"cmsr: {line}")


def test_files_and_options_come_in_any_order() -> None:
    expected = Upscale(target=Path("a"), guide=Path("b"), out=Path("c"), config=Config.of("fast"))
    for line in ("a b -o c --preset fast", "a -o c b --preset=fast", "--preset fast -o c a b"):
        assert _parse(["upscale", *line.split()]) == expected


def test_a_flag_can_be_said_either_way() -> None:
    line = "upscale a b -o c --preset paper --ensemble --no-quiet --no-fill"
    assert _parse(line.split()) == _parse(["upscale", "a", "b", "-o", "c", "--preset", "paper"])
    assert not _parse([*line.split(), "--no-ensemble"]).config.ensemble  # type: ignore[attr-defined]


def test_the_completion_knows_commands_options_and_choices() -> None:
    words = [*PROGRAM, "--print-completion", "bash"]
    script = subprocess.run(words, capture_output=True, text=True)
    probe = (
        script.stdout + "\nCOMP_WORDS=(cmsr upscale --pres); COMP_CWORD=2\n"
        '_shtab_cmsr cmsr --pres upscale; echo "${COMPREPLY[@]}"'
    )
    found = subprocess.run(["bash", "-c", probe], capture_output=True, text=True)
    assert found.stdout.split() == ["--preset"], found.stderr


@pytest.mark.parametrize("words", [["upscale", "--help"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error(words: list[str]) -> None:
    with subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in (0, PIPE_CLOSED)


@pytest.fixture
def files(tmp_path: Path, pair: SyntheticPair) -> tuple[str, str]:
    image_files.write(tmp_path / "t.png", (200 * pair.target).astype(np.uint8))
    image_files.write(tmp_path / "g.png", pair.guide)
    return str(tmp_path / "t.png"), str(tmp_path / "g.png")


def test_a_record_can_be_printed(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("upscale", "align"):
        assert main([command, *files, "-o", str(tmp_path / f"{command}.png"), "--json", "-"]) == 0
        assert "alignment" in json.loads(capsys.readouterr().out)
    assert main(["evaluate", files[0], files[0], "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["ssim"] == 1
    assert not Path("-").exists()


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, words: list[str], **environment: str) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execve(  # noqa: S606
                sys.executable, [*PROGRAM, *words], {**os.environ, **environment}
            )
        self.text = ""

    def read_until(self, word: str, seconds: float = 60) -> None:
        """Read until a word appears, or the program ends."""
        end = time.monotonic() + seconds
        while word not in self.text and time.monotonic() < end and self._read(1.0):
            pass

    def _read(self, seconds: float) -> bool:
        if select.select([self._master], [], [], seconds)[0]:
            try:
                self.text += os.read(self._master, 4096).decode(errors="replace")
            except OSError:  # the other side is closed
                return False
        return True

    def press_ctrl_c(self) -> None:
        """Send what the key sends."""
        os.write(self._master, b"\x03")

    def ended(self) -> int:
        """Read to the end; return the exit code, or minus the signal."""
        self.read_until("\0never\0")
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._master)
        return code


@pytest.mark.parametrize(
    ("preset", "stage"),
    [("default", "starting"), ("default", "aligning the photo"), ("paper", "training")],
)
@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_pressed_again_and_again_ends_as_once(
    preset: str, stage: str, times: int, files: tuple[str, str], tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    words = ["upscale", *files, "-o", str(tmp_path / "o.tif"), "--preset", preset]
    terminal = Terminal(words)
    terminal.read_until(stage)
    for _ in range(times):
        terminal.press_ctrl_c()
        time.sleep(0.1)
    assert terminal.ended() == 128 + signal.SIGINT
    assert "cmsr: interrupted" in terminal.text
    assert "terminate called" not in terminal.text
    assert "Traceback" not in terminal.text
    assert sorted(tmp_path.iterdir()) == before


def test_no_color_is_respected(files: tuple[str, str], tmp_path: Path) -> None:
    words = ["upscale", *files, "-o", str(tmp_path / "o.tif"), "--preset", "fast"]
    terminal = Terminal(words, NO_COLOR="1", TERM="xterm-256color")
    assert terminal.ended() == 0
    assert "\x1b[3" not in terminal.text.replace("\x1b[3A", "")


def test_one_line_is_drawn_anew_and_messages_stay_above_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    with terminal_line() as line:
        line.show("a long text that does not fit at all")
        line.show("short")
        line.say("a message")
        line.show("last")
    seen = [""]
    for sign in re.findall(r"[^\r\n]+|[\r\n]", capsys.readouterr().err):
        if sign == "\n":
            seen.append("")
        elif sign != "\r":
            assert len(sign) < 30
            seen[-1] = sign + seen[-1][len(sign) :]
    assert [row.rstrip() for row in seen] == ["a message", ""]


def test_the_time_left_comes_from_the_work_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    work, shares = Work(), []
    for stage, step, steps in (
        (SOLVING, 0, 10), (READING, 0, 1), (PLACING, 0, 1), (KERNEL, 0, 1), (ALIGNING, 0, 1),
        (VALIDATING, 0, 1), (SOLVING, 0, 10), (SOLVING, 5, 10), (SOLVING, 10, 10), (WRITING, 0, 1),
    ):  # fmt: skip
        work.told(stage, step, steps, 0.0)
        shares.append(work.share)
    assert shares[1:] == sorted(shares[1:])
    assert 0.98 < shares[-1] < 1
    now = 10.0
    work.told(SOLVING, 5, 10, 0.0)
    assert work.left == pytest.approx(10 * (1 - work.share) / work.share)
    work.told(TRAINING, 0, 100, 0.0)
    assert work.left is None
    now = 30.0
    work.told(TRAINING, 40, 100, 0.25)
    assert work.left == pytest.approx(30.0)
    assert work.text() == "training 40 of 100, loss 0.2500"


def test_a_program_can_read_the_progress(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words = ["upscale", *files, "-o", str(tmp_path / "o.tif"), "--preset", "fast", "--overwrite"]
    assert main(words) == 0
    assert "progress: " not in capsys.readouterr().err
    monkeypatch.setenv("CMSR_PROGRESS", "lines")
    assert main(words) == 0
    told = [line.split(" ", 2) for line in capsys.readouterr().err.splitlines()]
    told = [line for line in told if line[0] == "progress:"]
    assert told[0] == ["progress:", "0.000", "reading"]
    assert told[-1][2] == "writing"
    shares = [float(share) for _, share, _ in told]
    assert shares == sorted(shares)
    with display(quiet=False) as shown:
        shown.show(Tally(4, before=1, done=2))
    assert capsys.readouterr().err.startswith("progress: 0.750 3/4, 0 failed")
    with display(quiet=True) as shown:
        shown.show(Tally(4, before=1))
    assert capsys.readouterr().err == ""


def test_stages_of_a_run_are_told_by_name(files: tuple[str, str], tmp_path: Path) -> None:
    told = list[str]()
    config = Config.of("fast", kernel="bicubic")
    Job(
        target=Path(files[0]), guide=Path(files[1]), out=tmp_path / "o.tif", config=config
    ).run(lambda stage, *_: told.append(stage))  # fmt: skip
    assert list(dict.fromkeys(told)) == [
        READING, PLACING, SOLVING, KERNEL, ALIGNING, VALIDATING, WRITING,
    ]  # fmt: skip


FACTS: dict[str, Any] = {
    "size": [480, 640], "ratio": (4.0, 4.0), "seconds": 12.34, "kernel": "box", "preset": "fast",
    "kernel_confidence": 0.3, "prior": None,
    "alignment": {
        "stages": [{}], "refused": False, "confidence": 0.9, "median_displacement": 1.26,
        "largest_displacement": 3.0,
    },
    "guide_used": {"weight": 0.34, "unused": 0.5, "reason": "held-out pixels confirm it"},
    "expected_error": {"mean": [0.1234], "largest": [2.345], "unit": "°C"},
}  # fmt: skip


def test_the_end_of_a_run_says_what_a_person_wants_to_know() -> None:
    text = summary.of_run(Path("o.tif"), [FACTS], {"report": Path("r.html"), "preview": None})
    assert text.splitlines() == [
        "o.tif: 640 × 480 pixels, ratio 4, 12.3 s",
        "  photo         used for 34%; not used in 50% of the image; held-out pixels confirm it",
        "  placement     moved by 1.3 of its pixels (median), at most 3.0, confidence 90%",
        "  kernel        box, confidence 30%",
        "  error         expected to be ±0.12 °C in the mean; ±2.3 °C where it is largest",
        "  report        r.html",
        "  try next      --kernel NAME, if you know how the camera samples the scene",
    ]


def test_a_photo_that_was_not_used_is_said_with_a_remedy() -> None:
    unused = {"weight": 0.001, "unused": 1.0, "reason": "…"}
    refused = {**FACTS["alignment"], "refused": True, "stages": []}
    said = summary.of_run(Path("o.tif"), [{**FACTS, "guide_used": unused}])
    assert "used for 0%: this is the result without it" in said
    assert "--preset default" in said
    elsewhere = [{**FACTS, "guide_used": unused, "alignment": refused}]
    assert "--points FILE" in summary.of_run(Path("o.tif"), elsewhere)
    assert summary.photo_text({"guide_used": None}) == "none"


def test_a_file_is_described_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.linspace(20, 30, 48, dtype=np.float32).reshape(6, 8)
    values[0, :4] = np.nan
    image_files.write(tmp_path / "a.tif", values)
    assert main(["info", str(tmp_path / "a.tif")]) == 0
    printed = capsys.readouterr().out
    assert "8 × 6 pixels, 1 band, float32" in printed
    assert "to 30, mean" in printed
    assert "8.33% of the pixels" in printed
    assert not [word for word in ("None", "[", "True", "False") if word in printed]


def test_the_page_says_that_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["web", "--port", str(port)]) == 2
    first, error = capsys.readouterr().err.splitlines()
    assert first == f"cmsr web: starting at http://127.0.0.1:{port} …"
    assert "cannot listen" in error
