"""Files to arrays and back: formats, georeferences, thermal cameras, depth, previews."""
