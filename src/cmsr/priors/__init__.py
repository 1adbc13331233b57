"""Models of images: sparse blocks, edges of a guide, straight edges."""
