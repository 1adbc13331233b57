"""What images look like: sparse blocks, edges of a guide, straight edges."""
