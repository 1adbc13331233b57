"""What a release says of itself in several places agrees, and its checks cover what it promises."""

import re
import tomllib
from pathlib import Path

import pytest

import cmsr

ROOT = Path(__file__).parents[1]
yaml = pytest.importorskip("yaml", reason="no PyYAML: pip install 'cmsr[docs]'")


def test_version_and_licence_are_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" in project["dynamic"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert cited["version"] == cmsr.__version__
    assert cited["license"] == project["license"]
    releases = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert releases[0] == cmsr.__version__
    assert len(set(releases)) == len(releases)


def test_checks_run_on_every_system_and_python() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    matrix = yaml.safe_load(text)["jobs"]["tests"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    tried = (ROOT / ".ci" / "dist").read_text("utf-8")
    assert matrix["python"] == re.findall(r"3\.\d+", tried.partition("for version in ")[2])[:4]


def test_nothing_is_imported_that_only_posix_has() -> None:
    only_posix = (
        r"^import (fcntl|pwd|grp|pty|termios|resource)\b|os\.(fork|killpg|mkfifo)\b"
        r"|signal\.SIG(KILL|HUP)"
    )
    found = [
        path.name
        for path in (ROOT / "src").rglob("*.py")
        if re.search(only_posix, path.read_text("utf-8"), re.M)
    ]
    assert not found
