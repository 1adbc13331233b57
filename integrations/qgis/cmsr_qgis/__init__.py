"""Sharper thermal, near-infrared, depth and multispectral images in QGIS, by the program cmsr."""


def classFactory(interface):
    """Return the plugin."""
    from .plugin import Plugin

    return Plugin()
