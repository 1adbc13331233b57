"""Render the pair that `cmsr demo` ships, in place.

python -m tests.street
"""

from cmsr.app.demo.scene import FOLDER
from tests.street.scene import render

render(seed=0).write(FOLDER)
