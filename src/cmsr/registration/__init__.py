"""Where the guide lies over the target."""
