"""How results look when they are loaded."""

from qgis.core import (
    QgsColorRampShader,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsRectangle,
    QgsSingleBandPseudoColorRenderer,
    QgsStyle,
)

RAMP = "Inferno"
"""Colours of an image of one band; those of `cmsr upscale --preview`."""

ERROR_RAMP = "Reds"
"""Colours of an error map: white for none, so that it is not taken for a result."""

CUT = 0.005
"""Share of the pixels beyond either end of the colours, as in that preview."""

SAMPLE = 250_000
"""Pixels by which the ends are found."""


class Styled(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded image the target layer's style, or colours."""

    kept = []  # noqa: RUF012
    """All of them: QGIS does not own what it is given."""

    def __init__(self, renderer=None):
        super().__init__()
        self._renderer = renderer
        self.kept.append(self)

    def postProcessLayer(self, layer, context, feedback):
        """Style the layer."""
        if isinstance(layer, QgsRasterLayer):
            self.draw(layer)
        self.kept.remove(self)

    def draw(self, layer):
        """Draw the layer."""
        apply(layer, self._renderer)


class ErrorStyled(Styled):
    """Gives a loaded error map colours from 0 on."""

    def draw(self, layer):
        """Draw the layer."""
        layer.setRenderer(_colours(layer, ERROR_RAMP, 0.0))
        layer.triggerRepaint()


def apply(layer, renderer=None):
    """Draw a layer as another is drawn, or one band in colours; leave several bands as they are."""
    if renderer is not None:
        layer.setRenderer(renderer)
    elif _is_measured(layer):
        layer.setRenderer(_colours(layer))
    layer.triggerRepaint()


def _is_measured(layer):
    """Return whether a layer holds one quantity: one band, and what it covers perhaps."""
    return layer.bandCount() == 1 or layer.renderer().type() == "singlebandgray"


def _colours(layer, ramp=RAMP, least=None):
    """Return colours of the first band from its smallest values, or ``least``, to its largest."""
    provider = layer.dataProvider()
    low, high = provider.cumulativeCut(1, CUT, 1 - CUT, QgsRectangle(), SAMPLE)
    low = low if least is None else least
    drawn = QgsSingleBandPseudoColorRenderer(provider, 1)
    drawn.setClassificationMin(low)
    drawn.setClassificationMax(high if high > low else low + 1)
    drawn.createShader(
        QgsStyle.defaultStyle().colorRamp(ramp),
        QgsColorRampShader.Interpolated,
        QgsColorRampShader.Continuous,
    )
    return drawn
