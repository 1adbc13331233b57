"""One self-contained page that shows a run: what went in, what came out, and why to believe it."""
