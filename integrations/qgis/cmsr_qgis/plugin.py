"""The plugin: it adds a provider to Processing, and nothing else."""

from qgis.core import QgsApplication

from .provider import Provider


class Plugin:
    """What QGIS starts and ends."""

    def __init__(self):
        self._provider = None

    def initProcessing(self):
        """Add the provider; qgis_process calls this alone."""
        self._provider = Provider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self):
        """Start within QGIS."""
        self.initProcessing()

    def unload(self):
        """Take the provider away."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
