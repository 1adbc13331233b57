"""What the camera did to the scene before anyone saw it: its kernel, its noise, its compression."""
