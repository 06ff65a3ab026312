"""Files in a zip archive that depends on nothing but the files."""

import io
import zipfile
from collections.abc import Mapping

FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""The first that a zip archive can tell: what is made twice is to be the same twice."""


def archive(files: Mapping[str, bytes]) -> bytes:
    """By name. Names are UTF-8, and may not be paths."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, FIRST_DATE)
            member.external_attr = 0o644 << 16
            zipped.writestr(member, content, zipfile.ZIP_DEFLATED)
    return made.getvalue()
