"""How the target was made: its kernel, noise, what JPEG and the camera's own enlargement did."""
