"""Explorers by keyboard alone, and for screen readers."""

from pathlib import Path

from anywidget import AnyWidget
from traitlets import Unicode

_STYLE = """
.jupyter-widgets .noUi-handle:focus-visible, .jupyter-widgets select:focus-visible,
.jupyter-widgets button:focus-visible, .jupyter-matplotlib [tabindex]:focus-visible {
  outline: 2px solid var(--jp-content-font-color1, #000); outline-offset: 1px; }
"""


class Access(AnyWidget):
    """Lies unseen in an explorer: gives its sliders, buttons and figure names, and lets Tab leave the figure.

    Attributes:
        words: what the figure shows, in words.
    """

    _esm = Path(__file__).with_name("access.js")
    _css = _STYLE
    words = Unicode().tag(sync=True)
