"""Sphinx's settings for the course's site: `make site` lays the pages together and calls this."""

from importlib import import_module
from pathlib import Path

import course_lib

project = "Deep learning for signals and medical images"
author = "The authors of the course"
copyright = "the authors of the course; text and figures CC BY 4.0, code MIT"  # noqa: A001
version = release = course_lib.__version__
html_title = project
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["originals"]

# what a page shows was computed when the notebook was built, and nothing is computed again
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline", "colon_fence", "deflist", "html_image"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

# no request leaves the folder: mathematics, icons, search and fonts lie in it
mathjax3_config = {
    "options": {"enableMenu": False},
    "chtml": {"mtextInheritFont": True},
}

html_context = {"default_mode": "auto"}
html_theme = "sphinx_book_theme"
MATHJAX = Path(import_module("sphinx-mathjax-offline").__file__).parent / "static"
mathjax_path = "mathjax/tex-chtml.js"
html_static_path = ["_static", str(MATHJAX)]
html_css_files = ["course.css"]
html_js_files = [("course.js", {"defer": "defer"})]
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which a browser forbids in a folder
html_theme_options = {
    "navbar_persistent": [],
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
default_role = "code"
napoleon_numpy_docstring = False


def as_plain_text(app, what, name, obj, options, lines):  # noqa: ANN001, ANN201, PLR0913
    """Docstrings are plain text: |x| and x* are formulas, not markup."""
    lines[:] = [line.replace("\\", "\\\\").replace("*", r"\*").replace("|", r"\|") for line in lines]


def setup(app):  # noqa: ANN001, ANN201
    app.connect("autodoc-process-docstring", as_plain_text, priority=100)
