"""Make the pages."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.extras import require
from headstart.evaluation.report import view
from headstart.evaluation.report.content import ReportData

_HERE = Path(__file__).parent


def write_report(path: Path, data: ReportData) -> None:
    """Write one HTML file that needs nothing else: style, script, drawings and photos are inside, and its own content
    policy forbids it any request. Names of classes and files are shown as text whatever they hold.

    Raises MissingExtra where jinja2 is not installed.
    """
    write_page(path, "page.html", view.page(data))


def write_page(path: Path, template: str, values: Mapping[str, Any]) -> None:
    """Write one of the templates beside this file, with the style and the script that all pages share."""
    jinja2 = require("jinja2", "train", "Writing a report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    page = environment.get_template(template).render(
        **values,
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    path.write_text(page, encoding="utf-8", newline="\n")
