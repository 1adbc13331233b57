"""The published method: its networks, its training, its inference."""
