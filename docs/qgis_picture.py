"""Draw docs/qgis.png: QGIS with the dialog *Sharpen with a photo* and its result, the demo's pair.

Runs inside QGIS, on a screen of its own; the plugin is enabled and cmsr is on the PATH:

    xvfb-run -s "-screen 0 1480x720x24" qgis --nologo --code docs/qgis_picture.py
"""

import os
import shutil
import tempfile

import processing
from cmsr_qgis import style
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication, QDockWidget, QToolBar
from qgis.utils import iface

DOCS = os.environ.get("CMSR_DOCS", "docs")
DEMO = os.path.join(DOCS, "..", "src", "cmsr", "app", "demo")
WINDOW, DIALOG = (0, 0, 860, 720), (860, 0, 620, 720)


def arranged():
    """Open the demo's images in a bare window; return the target's layer."""
    folder = tempfile.mkdtemp()
    layers = {}
    for name in ("guide.png", "target.tif"):
        path = shutil.copy(os.path.join(DEMO, name), folder)
        layers[name] = QgsRasterLayer(path, name.split(".")[0])
        QgsProject.instance().addMapLayer(layers[name])
    style.apply(layers["target.tif"])
    window = iface.mainWindow()
    for bar in window.findChildren(QToolBar):
        bar.setVisible(bar.objectName() == "mMapNavToolBar")
    for dock in window.findChildren(QDockWidget):
        dock.setVisible(dock.objectName() == "Layers")
        if dock.isVisible():
            window.resizeDocks([dock], [170], Qt.Horizontal)
    window.setGeometry(*WINDOW)
    return layers["target.tif"], layers["guide.png"]


def main():
    """Run the dialog, wait for its result, and take the picture."""
    target, guide = arranged()
    values = {"TARGET": target.id(), "GUIDE": guide.id()}
    dialog = processing.createAlgorithmDialog("cmsr:sharpen", values)
    dialog.setWindowFlags(dialog.windowFlags() | Qt.FramelessWindowHint)
    dialog.setStyleSheet("QDialog { border: 1px solid #555 }")
    dialog.show()
    dialog.setGeometry(*DIALOG)
    QTimer.singleShot(2000, dialog.runAlgorithm)
    timer = QTimer(dialog)

    def look():
        made = [each for each in QgsProject.instance().mapLayers().values()
                if each.name() == "Sharpened image"]  # fmt: skip
        if made:
            timer.stop()
            iface.setActiveLayer(made[0])
            iface.zoomToActiveLayer()
            iface.messageBar().clearWidgets()
            QTimer.singleShot(4000, lambda: taken(dialog))

    timer.timeout.connect(look)
    timer.start(1000)


def taken(dialog):
    """Take the picture, and leave."""
    dialog.showParameters()
    for _ in range(20):
        QApplication.processEvents()
    QApplication.primaryScreen().grabWindow(0).save(os.path.join(DOCS, "qgis.png"))
    os._exit(0)


QTimer.singleShot(3000, main)
