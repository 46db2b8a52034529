"""The settings of the documentation site.  `python -m sphinx -c docs . build/site` builds it.

The source folder is the root of the project, because the pages link to each other and to the
READMEs of other folders.  The pages are plain Markdown, which is readable without the site.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import int8ref  # noqa: E402

project = "int8ref"
author = "The int8ref authors"
release = version = int8ref.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",
    "_site.docstrings",
    "_site.generated",
]
root_doc = "docs/index"
include_patterns = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "docs/**.md",
    "examples/rtl/README.md",
    "reference_c/README.md",
    "training/README.md",
]
exclude_patterns = [".*", "build", "dist", "int8ref", "tests", "weights_import"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

default_role = "code"
highlight_language = "none"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
nitpick_ignore_regex = [
    # Types of other packages and of the engine inside: no page of this site describes them.
    (r"py:.*", r"(?!int8ref\.\w+$).*"),
]

html_theme = "furo"
html_title = "int8ref"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
templates_path = ["_site/templates"]
html_additional_pages = {"index": "start.html"}
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"
