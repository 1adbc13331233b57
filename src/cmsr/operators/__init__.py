"""Linear operators on images: resampling, point spread, cosine transform, local regression."""
