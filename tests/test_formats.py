"""The table of formats names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_named_test_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (TESTS.parent / "docs" / "FORMATS.md").read_text()))
    defined = "".join(path.read_text() for path in TESTS.glob("test_*.py"))
    assert len(named) > 15
    assert not {name for name in named if f"def {name}(" not in defined}
