"""Any number of pairs: planned, handed to Dask's workers, watched, and taken up again."""
