"""Files to arrays and back: formats, georeferences, previews."""
