"""The web page: upload of a pair, report and full-precision result."""
