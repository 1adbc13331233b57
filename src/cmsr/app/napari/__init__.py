"""The plugin for napari: sharpen a layer with another one, set points by hand, open files."""
