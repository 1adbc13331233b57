"""Batches: many pairs, upscaled by Dask's workers; an interrupted batch is resumed."""
