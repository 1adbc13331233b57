"""The Processing provider: its algorithms and its one setting, where cmsr is."""

import os

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms import Register, Sharpen, SharpenFolder
from .program import SETTING

ICON = os.path.join(os.path.dirname(__file__), "icon.svg")


class Provider(QgsProcessingProvider):
    """Algorithms that call cmsr."""

    def id(self):
        """Return the first part of the algorithms' ids."""
        return "cmsr"

    def name(self):
        """Return what the toolbox shows."""
        return "cmsr"

    def longName(self):
        """Return what the settings show."""
        return "cmsr: sharper images with a photo"

    def icon(self):
        """Return the plugin's icon."""
        return QIcon(ICON)

    def svgIconPath(self):
        """Return where the icon is."""
        return ICON

    def load(self):
        """Add the setting and the algorithms."""
        ProcessingConfig.settingIcons[self.name()] = self.icon()
        about = "Program cmsr, or the folder of its environment (empty: found on the PATH)"
        setting = Setting(self.name(), SETTING, about, "", valuetype=Setting.FILE)
        ProcessingConfig.addSetting(setting)
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self):
        """Take the setting away."""
        ProcessingConfig.removeSetting(SETTING)

    def loadAlgorithms(self):
        """Add the three algorithms."""
        for algorithm in (Sharpen, Register, SharpenFolder):
            self.addAlgorithm(algorithm())

    def supportsNonFileBasedOutput(self):
        """Return that every output is a file."""
        return False

    def supportedOutputRasterLayerExtensions(self):
        """Return the formats that cmsr writes and QGIS shows; the first is usual."""
        return ["tif", "png", "jpg"]
