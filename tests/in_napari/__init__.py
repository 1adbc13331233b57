"""Tests that run inside napari; `tests/test_napari.py` runs them, in a process of their own."""
