"""The page in a browser: files in, the report and the full-precision result out."""
