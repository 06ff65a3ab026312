"""The transcript to read, in paragraphs: plain (.txt), and with what is to be known of it in Markdown (.md)."""

import re

from hansard.formats.document import Document
from hansard.formats.facts import cautions, facts, spoken
from hansard.formats.options import Options

_SYNTAX = re.compile(r"[\\`*_\[\]<>&~|]")
_SYNTAX_AT_START = re.compile(r"([#+=-]|(?<=\d)[.)])")
_BEGINS_LIKE_A_LIST = re.compile(r"#|[-+=]|\d{1,9}[.)]")


def write_txt(document: Document, options: Options) -> str:
    """Nothing but what was said: a line for each paragraph, begun with the speaker where one is known.

    With `times`, each begins with its time: `[00:01:05] Ann: Order, order!`
    """
    lines: list[str] = []
    for time, speaker, text in spoken(document):
        begun_at = f"[{time}] " if options.times else ""
        said_by = f"{speaker}: " if speaker and options.speakers is not False else ""
        lines.append(f"{begun_at}{said_by}{text}\n")
    return "\n".join(lines)


def write_md(document: Document, options: Options) -> str:
    """CommonMark: a heading, what is known, what is lacking, and the paragraphs with their times and speakers."""
    blocks = [f"# {_escaped(document.file_name)}"]
    if known := [f"- {name}: {_escaped(value)}" for name, value in facts(document)]:
        blocks.append("\n".join(known))
    blocks += [f"> {_escaped(caution)}" for caution in cautions(document)]
    for time, speaker, text in spoken(document):
        shown = f"**{_escaped(speaker)}**" if speaker and options.speakers is not False else ""
        begun_at = f"({time})" if options.times is not False else ""
        head = " ".join(filter(None, (shown, begun_at)))
        blocks.append(f"{head}: {_escaped(text)}" if head else _escaped(text, begins_line=True))
    return "\n\n".join(blocks) + "\n"


def _escaped(text: str, *, begins_line: bool = False) -> str:
    """Text that Markdown leaves alone. At the beginning of a line it would see lists and headings, too."""
    escaped = _SYNTAX.sub(r"\\\g<0>", " ".join(text.split()))
    if begins_line and _BEGINS_LIKE_A_LIST.match(escaped):
        return _SYNTAX_AT_START.sub(r"\\\1", escaped, count=1)
    return escaped
