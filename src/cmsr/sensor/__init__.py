"""Model of the camera: its kernel, noise, JPEG error and in-camera enlargement."""
