"""The renderer of the demo's street: its materials, its bodies, its light, its two cameras."""
