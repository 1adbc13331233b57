"""From the described options of cmsr to the parameters of QGIS, and from values to arguments."""

import json
import os
import re
from functools import lru_cache

from qgis.core import (
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

SUBDATASET = re.compile(r'(?:NETCDF|HDF5):"?(.+?)"?:(?://)?(.+)$')
"""How GDAL names an image inside a file; cmsr says FILE:NAME."""


@lru_cache(maxsize=None)
def described(command):
    """Return the described parameters of a command of cmsr."""
    path = os.path.join(os.path.dirname(__file__), "parameters.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)[command]


def name_of(option):
    """Return a parameter's name in QGIS."""
    return "OUTPUT" if option["name"] == "out" else option["name"].upper()


def is_raster(option):
    """Return whether an option writes an image that QGIS can show."""
    return option["kind"] == "output" and option.get("ending") == "tif"


class Image(QgsProcessingParameterRasterLayer):
    """A layer, or any file: cmsr reads formats that QGIS does not, and says what is wrong."""

    def checkValueIsAcceptable(self, value, context=None):
        """Return whether there is a value, where one is needed."""
        missing = value in (None, "")
        optional = bool(self.flags() & QgsProcessingParameterDefinition.FlagOptional)
        return optional if missing else True


def parameter(option):
    """Return the parameter of an option; one that is not needed is empty until it is set."""
    made = _made(option, name_of(option), option["label"], not option.get("required"))
    flag = f"{option['flag']}: " if option["flag"] else ""
    made.setHelp(flag + option["help"])
    if option["group"]:
        made.setFlags(made.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
    return made


def _made(option, name, label, optional):
    kind = option["kind"]
    if kind == "raster":
        return Image(name, label, optional=optional)
    if kind == "output":
        return _output(option, name, label, optional)
    if kind in ("file", "folder"):
        file = QgsProcessingParameterFile
        return file(name, label, file.Folder if kind == "folder" else file.File, optional=optional)
    if kind == "flag":
        return QgsProcessingParameterBoolean(name, label, option["default"])
    if kind == "choice":
        usual = None if optional else option["default"]
        return QgsProcessingParameterEnum(
            name, label, option["choices"], False, usual, optional, usesStaticStrings=True
        )
    if kind == "text":
        return QgsProcessingParameterString(name, label, optional=optional)
    whole = kind == "integer"
    number = QgsProcessingParameterNumber
    made = number(name, label, number.Integer if whole else number.Double, optional=optional)
    made.setMinimum(option["minimum"])
    made.setMaximum(option.get("maximum", made.maximum()))
    return made


def _output(option, name, label, optional):
    """Return the parameter of what is written; what is optional is written only if asked for."""
    if "ending" not in option:
        return QgsProcessingParameterFolderDestination(name, label)
    if is_raster(option):
        return QgsProcessingParameterRasterDestination(name, label, None, optional, not optional)
    what = f"{option['ending'].upper()} (*.{option['ending']})"
    return QgsProcessingParameterFileDestination(name, label, what, None, optional, not optional)


def words(algorithm, options, values, context):
    """Return the arguments of cmsr for the values that were set, and the files that it will write.

    Parameters
    ----------
    algorithm : QgsProcessingAlgorithm
        Whose parameters they are.
    options : list of dict
        As `described` returns them.
    values : dict
        What QGIS gives the algorithm.
    context : QgsProcessingContext
        As QGIS gives it.

    Returns
    -------
    list of str, dict
        The arguments, and the path of each output by its name.
    """
    line, files, outputs = [], [], {}
    for option in options:
        name = name_of(option)
        if values.get(name) in (None, ""):
            continue
        given = _given(algorithm, option, name, values, context)
        if option["kind"] == "output" and given:
            outputs[name] = given[-1]
        if option["flag"]:
            line += given
        else:
            files += given
    return files + line, outputs


def _given(algorithm, option, name, values, context):
    """Return the arguments of one option that has a value."""
    kind, flag = option["kind"], option["flag"]
    if kind == "raster":
        return [_source(algorithm, option, name, values, context)]
    if kind == "flag":
        value = algorithm.parameterAsBool(values, name, context)
        if value == option["default"]:
            return []
        return [flag] if value else [flag.replace("--", "--no-", 1)]
    if kind == "output":
        raster = is_raster(option)
        path = (algorithm.parameterAsOutputLayer if raster else algorithm.parameterAsFileOutput)(
            values, name, context
        )
        return [flag, path] if path else []
    if kind == "integer":
        return [flag, str(algorithm.parameterAsInt(values, name, context))]
    if kind == "number":
        return [f"{flag}={algorithm.parameterAsDouble(values, name, context):.15g}"]
    return _text(option, algorithm.parameterAsString(values, name, context))


def _text(option, text):
    """Return the arguments of a text; several words are separated by spaces or commas."""
    flag, count = option["flag"], option.get("words", 1)
    if not flag:
        return [text]
    if count == 1:
        return [f"{flag}={text}"]
    parts = text.replace(",", " ").split()
    if len(parts) != count:
        raise QgsProcessingException(f"{option['label']}: {text!r}; it must be {count} numbers")
    return [flag, *parts]


def layer_of(algorithm, name, values, context):
    """Return the layer that is a parameter's value; None if it is a file."""
    if os.path.isfile(str(values.get(name))):
        return None
    return algorithm.parameterAsRasterLayer(values, name, context)


def _source(algorithm, option, name, values, context):
    """Return the file of an image, which cmsr reads for itself."""
    layer = layer_of(algorithm, name, values, context)
    if layer is None:  # if it is no file either, cmsr says so
        return algorithm.parameterAsString(values, name, context)
    if layer.providerType() != "gdal":
        raise QgsProcessingException(f"{option['label']}: {layer.name()} is not a file; save it")
    source = layer.source().split("|")[0]
    inside = SUBDATASET.match(source)
    return f"{inside[1]}:{inside[2]}" if inside else source
