"""The site: lessons as saved, guide, glossary, results and the library's reference; `make site`.

The root of the repository is the source folder, so that links between pages, lessons and files are the same
on the site as they are in the repository.
"""

import sys
from importlib.resources import files
from pathlib import Path
from shutil import copytree, rmtree
from typing import TYPE_CHECKING

import nbformat

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from deepcut_lib import __version__  # noqa: E402
from docs.reading import prepare  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = html_title = "DeepCut, taught in notebooks"
version = release = __version__
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/api/*.md",
    "notebooks/*.ipynb",
    "RESULTS.md",
    "CONTRIBUTING.md",
    "data/README.md",
    "benchmarks/README.md",
    "training/README.md",
    "deepcut_lib/weights/*.md",
]
exclude_patterns = [".*", "**/.*", "site", "slides", "class", "results", "wheelhouse"]
templates_path = ["templates"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_update_mathjax = False
suppress_warnings = [
    "myst.header",  # exercises stand two levels below the title
    "misc.highlighting_failure",
    "mystnb.unknown_mime_type",
]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "exclude-members": "set_fit_request"}  # scikit-learn's own
napoleon_use_ivar = True

mathjax_path = "mathjax/MathJax.js"
mathjax2_config = {
    "config": ["TeX-AMS-MML_HTMLorMML-full.js", "Safe.js"],
    "tex2jax": {"inlineMath": [["\\(", "\\)"]], "displayMath": [["\\[", "\\]"]]},
    "HTML-CSS": {
        "availableFonts": [],
        "preferredFont": None,
        "imageFont": None,
        "webFont": "STIX-Web",
        "linebreaks": {"automatic": True, "width": "container"},
    },
    "fast-preview": {"disabled": True},
    "messageStyle": "none",
}

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_additional_pages = {"index": "front.html"}
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False


def _read(app: "Sphinx", name: str, content: list[str]) -> None:
    """Notebooks as they are read without a kernel; the files stay as they are."""
    if name.startswith("notebooks/"):
        notebook = prepare(nbformat.reads(content[0], as_version=4))
        if "notation.md" not in notebook.cells[0].source:
            notebook.cells[0].source += "\n\nSymbols and terms: [notation and glossary](../docs/notation.md)."
        content[0] = nbformat.writes(notebook)


def _finish(app: "Sphinx", problem: Exception | None) -> None:
    rmtree(app.outdir.parent / "jupyter_execute", ignore_errors=True)  # of MyST-NB, of no use
    if problem is None:
        source = Path(str(files("jupyter_server_mathjax").joinpath("static")))
        copytree(source, app.outdir / "_static" / "mathjax", dirs_exist_ok=True)


def setup(app: "Sphinx") -> None:
    """Called by Sphinx."""
    app.connect("source-read", _read)
    app.connect("build-finished", _finish)
