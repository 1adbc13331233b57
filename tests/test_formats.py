"""Pages name, in comments that readers do not see, tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_named_test_exists() -> None:
    pages = "".join(path.read_text("utf-8") for path in (TESTS.parent / "docs").glob("*.md"))
    named = set(re.findall(r"\b(test_\w+)\b(?!\.py)", pages))
    defined = "".join(path.read_text("utf-8") for path in TESTS.glob("test_*.py"))
    assert len(named) > 15
    assert not {name for name in named if f"def {name}(" not in defined}
