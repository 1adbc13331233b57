"""Comparison of methods, `cmsr bench`: runs, records, training, tables and plots."""
