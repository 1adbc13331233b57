"""The presets default and fast: what is known in closed form, believed as far as it is proven."""
