"""The three algorithms: each is a command of cmsr."""

import glob
import os

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterBoolean,
)
from qgis.PyQt.QtGui import QIcon

from . import parameters, program
from .style import ErrorStyled, Styled

ERROR_ENDING = ".error.tif"
"""Ending of the error maps in a folder of results."""


class _Command(QgsProcessingAlgorithm):
    """A command of cmsr, with its options as parameters."""

    command = key = title = about = ""
    always = ("--overwrite",)
    """Arguments besides: QGIS has asked whether a file may be replaced."""
    drawn = None
    """How the result is drawn; None: by its values."""

    def name(self):
        """Return the last part of its id."""
        return self.key

    def displayName(self):
        """Return what the toolbox shows."""
        return self.title

    def shortHelpString(self):
        """Return what stands beside the dialog."""
        return self.about

    def icon(self):
        """Return the plugin's icon."""
        return QIcon(os.path.join(os.path.dirname(__file__), "icon.svg"))

    def tags(self):
        """Return words by which it is found."""
        return ["thermal", "infrared", "depth", "super-resolution", "pansharpening", "upscale"]

    def createInstance(self):
        """Return a new one."""
        return type(self)()

    def initAlgorithm(self, configuration=None):
        """Add the parameters."""
        for option in parameters.described(self.command):
            self.addParameter(parameters.parameter(option))

    def canExecute(self):
        """Return whether cmsr is there, and what to do if not."""
        try:
            program.find()
        except QgsProcessingException as error:
            return False, str(error)
        return True, ""

    def processAlgorithm(self, values, context, feedback):
        """Run cmsr; return what it has written."""
        options = parameters.described(self.command)
        line, outputs = parameters.words(self, options, values, context)
        program.run([self.command, *line, *self.always], feedback)
        return {**outputs, **self.loaded(values, outputs, context)}

    def loaded(self, values, outputs, context):
        """Style what QGIS is about to load; return further results."""
        for name, path in outputs.items():
            if context.willLoadLayerOnCompletion(path):
                drawn = self.drawn if name == "OUTPUT" else None
                styled = ErrorStyled() if name == "ERROR_MAP" else Styled(drawn)
                context.layerToLoadOnCompletionDetails(path).setPostProcessor(styled)
        return {}


class Sharpen(_Command):
    """`cmsr upscale`."""

    command, key, title = "upscale", "sharpen", "Sharpen with a photo"
    about = (
        "An image of a coarse sensor (thermal, near-infrared, depth, multispectral) at the "
        "resolution of a photo of the same scene. Values keep their unit: the result, reduced "
        "again, is the input. Of the photo only that is taken which the sensor's own pixels "
        "confirm; the log says how far it was used.\n\n"
        "A radiometric JPEG may hold its own photo. Without any photo, set Ratio or Size.\n\n"
        "Empty parameters are left to the preset."
    )

    def prepareAlgorithm(self, values, context, feedback):
        """Take note of how the target is drawn, if it is a layer of the project."""
        layer = parameters.layer_of(self, "TARGET", values, context)
        self.drawn = layer.renderer().clone() if layer and layer.renderer() else None
        return True


class Register(_Command):
    """`cmsr align`."""

    command, key, title = "align", "register", "Register a photo"
    about = (
        "Moves a photo onto an image from another sensor, without changing that image. Where the "
        "place is not found, name Points: a CSV file with target_x, target_y, photo_x, photo_y, "
        "in pixels from the top left corner."
    )


class SharpenFolder(_Command):
    """`cmsr batch`."""

    command, key, title = "batch", "sharpenfolder", "Sharpen a folder"
    about = (
        "Sharpens all pairs of a folder; they are found by the names that cameras give, by what "
        "is inside, and by time. The path of a CSV file with the columns name,target,guide does "
        "as well. Pairs that are finished are skipped: the same run goes on after a break. "
        "Cancelling keeps what is finished."
    )
    always = ()

    def initAlgorithm(self, configuration=None):
        """Add the parameters, and whether results are loaded."""
        super().initAlgorithm(configuration)
        self.addParameter(QgsProcessingParameterBoolean("LOAD", "Load the results", True))
        self.addOutput(QgsProcessingOutputMultipleLayers("LAYERS", "Results"))

    def loaded(self, values, outputs, context):
        """Let QGIS load the results, with a style; return their paths."""
        made = sorted(glob.glob(os.path.join(glob.escape(outputs["OUTPUT"]), "*.tif")))
        if self.parameterAsBool(values, "LOAD", context) and context.project() is not None:
            for path in made:
                name = os.path.splitext(os.path.basename(path))[0]
                details = QgsProcessingContext.LayerDetails(name, context.project(), "LAYERS")
                error = path.endswith(ERROR_ENDING)
                details.setPostProcessor(ErrorStyled() if error else Styled())
                context.addLayerToLoadOnCompletion(path, details)
        return {"LAYERS": made}
