"""What a recording is called: the name that a stranger gave it, made safe to keep, to show and to give back."""

import re
import unicodedata

LONGEST_FILE_NAME = 200
"""In characters; file systems allow 255 bytes."""

UNNAMED = "upload"

_INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}
_TEXT_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Characters that can make `gpj.exe` read as `exe.jpg`."""


def clean_file_name(given: str) -> str:
    """The last part of a path, in any script, without what is invisible; the extension survives a cut."""
    name = re.split(r"[/\\]", given)[-1]
    name = "".join(character for character in name if _is_visible(character)).strip()
    if not name.strip("."):
        return UNNAMED
    if len(name) > LONGEST_FILE_NAME:
        stem, dot, extension = name.rpartition(".")
        tail = f"{dot}{extension}" if stem and len(extension) <= 10 else ""
        name = name[: LONGEST_FILE_NAME - len(tail)] + tail
    return name


def _is_visible(character: str) -> bool:
    return (
        unicodedata.category(character) not in _INVISIBLE
        and unicodedata.bidirectional(character) not in _TEXT_DIRECTIONS
    )
