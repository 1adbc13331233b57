"""The report on a run: a self-contained page with input, result, and the evidence for it."""
