"""The published method: a two-branch network trained on the pair."""
