"""A session of QGIS without a window, in QGIS's own Python: run, load, cancel; prints JSON.

python3 qgis_session.py FOLDER      # with target.tif, photo.tif and pairs/ in it
"""

import json
import os
import sys

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
)

FOLDER = sys.argv[1]
FAST = {"PRESET": "fast", "ALIGN": "off", "KERNEL": "box"}


class Feedback(QgsProcessingFeedback):
    """Remembers what it is told; is cancelled where the work has come far enough."""

    def __init__(self, cancel_at=101.0):
        super().__init__()
        self.cancel_at = cancel_at
        self.shares, self.stages, self.said = [], [], []

    def setProgress(self, share):  # noqa: N802 - QGIS's name
        self.shares.append(share)
        if share >= self.cancel_at:
            self.cancel()

    def setProgressText(self, text):  # noqa: N802
        self.stages.append(text)

    def pushInfo(self, text):  # noqa: N802
        self.said.append(text)

    def pushWarning(self, text):  # noqa: N802
        self.said.append(text)


def inside(name):
    return os.path.join(FOLDER, name)


def described(layer):
    """What is worth knowing of a loaded layer."""
    drawn, extent = layer.renderer(), layer.extent()
    found = {
        "name": layer.name(),
        "crs": layer.crs().authid(),
        "nodata": layer.dataProvider().sourceNoDataValue(1),
        "style": drawn.type(),
        "extent": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
    }
    if drawn.type() == "singlebandpseudocolor":
        found["range"] = [drawn.classificationMin(), drawn.classificationMax()]
        colours = [item.color for item in drawn.shader().rasterShaderFunction().colorRampItemList()]
        found["lowest"] = colours[0].name()
    return found


def run(algorithm, feedback=None, load=False, **values):
    """Run an algorithm; return what is loaded, or the error."""
    import processing

    feedback = feedback or Feedback()
    project = QgsProject.instance()
    before = set(project.mapLayers())
    try:
        (processing.runAndLoadResults if load else processing.run)(
            f"cmsr:{algorithm}", values, feedback=feedback
        )
    except QgsProcessingException as error:
        return {"error": str(error), "stages": feedback.stages}
    layers = [layer for key, layer in project.mapLayers().items() if key not in before]
    return {
        "layers": sorted(map(described, layers), key=lambda layer: layer["name"]),
        "shares": feedback.shares,
        "stages": feedback.stages,
        "said": feedback.said,
    }


def main():
    from processing.core.ProcessingConfig import ProcessingConfig

    pair = {"TARGET": inside("target.tif"), "GUIDE": inside("photo.tif"), **FAST}
    found = {"version": Qgis.version()}
    out = {"OUTPUT": inside("loaded.tif"), "ERROR_MAP": inside("error.tif")}
    found["loaded"] = run("sharpen", load=True, **pair, **out)
    layer = QgsRasterLayer(inside("target.tif"), "mine")
    QgsProject.instance().addMapLayer(layer)
    os.mkdir(inside("cancelled"))
    out = {"OUTPUT": inside("cancelled/o.tif"), "REPORT": inside("cancelled/o.html")}
    found["cancelled"] = run("sharpen", Feedback(cancel_at=1.0), **pair, **out)
    found["left"] = os.listdir(inside("cancelled"))
    own = {**pair, "TARGET": layer.id()}
    found["styled"] = run("sharpen", load=True, OUTPUT=inside("styled.tif"), **own)
    folder = {
        "PAIRS": inside("pairs"),
        "OUTPUT": inside("results"),
        "WORKERS": 1,
        "ERROR_MAP": True,
        **FAST,
    }
    found["folder"] = run("sharpenfolder", load=True, **folder)
    os.environ["PATH"] = inside("nothing")
    found["not_found"] = run("sharpen", OUTPUT=inside("no.tif"), **pair)
    ProcessingConfig.setSettingValue("CMSR_PROGRAM", inside("environment"))
    found["set"] = run("sharpen", OUTPUT=inside("set.tif"), **{**pair, "RATIO": "0.5"})
    print(json.dumps(found))


if __name__ == "__main__":
    application = QgsApplication([], True)
    QgsApplication.setPrefixPath("/usr", True)
    application.initQgis()
    from qgis import utils

    profile = os.path.join(os.environ["QGIS_CUSTOM_CONFIG_PATH"], "profiles", "default")
    plugins = os.path.join(profile, "python", "plugins")
    sys.path += [os.path.join(QgsApplication.pkgDataPath(), "python", "plugins"), plugins]
    from processing.core.Processing import Processing

    Processing.initialize()
    utils.plugin_paths = [plugins]
    from cmsr_qgis import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    main()
    plugin.unload()
