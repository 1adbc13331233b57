"""Files to arrays and back: formats, georeferences, previews."""

import logging

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it cannot read is told elsewhere
