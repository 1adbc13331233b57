"""Radiometric thermal cameras: their files, and temperatures from raw counts."""
