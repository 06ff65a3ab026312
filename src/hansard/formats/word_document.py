# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false
"""The transcript for a word processor (.docx): title, what is known, what is lacking, and the paragraphs."""

import io
import re
import zipfile
from datetime import UTC, datetime

import docx
from docx.document import Document as WordDocument
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import RGBColor
from docx.text.paragraph import Paragraph

from hansard.formats.archive import FIRST_DATE, archive
from hansard.formats.document import Document
from hansard.formats.facts import cautions, facts, spoken
from hansard.formats.options import Options

GREY = RGBColor(0x70, 0x70, 0x70)
WRITTEN_FROM_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ps", "sd", "ur", "yi"})

_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write_docx(document: Document, options: Options) -> bytes:
    """The same document for the same transcript, byte for byte."""
    word = docx.Document()
    _describe(word, document)
    _add(word, "Title").add_run(_clean(document.file_name))
    for name, value in facts(document):
        line = _add(word, "No Spacing")
        line.add_run(f"{name}: ").bold = True
        line.add_run(_clean(value))
    for caution in cautions(document):
        _add(word, "Intense Quote").add_run(_clean(caution))
    _add(word, "No Spacing")
    from_right = document.transcript.language in WRITTEN_FROM_RIGHT_TO_LEFT
    for time, speaker, text in spoken(document):
        paragraph = _add(word, "Normal", from_right=from_right)
        if options.times is not False:
            paragraph.add_run(f"{time}  ").font.color.rgb = GREY
        if speaker and options.speakers is not False:
            paragraph.add_run(f"{_clean(speaker)}: ").bold = True
        paragraph.add_run(_clean(text)).font.rtl = True if from_right else None
    file = io.BytesIO()
    word.save(file)
    return _without_dates(file)


def _describe(word: WordDocument, document: Document) -> None:
    """What the word processor shows as the file's properties; the template's own would name its author."""
    at = (document.transcribed_at or datetime(*FIRST_DATE, tzinfo=UTC)).astimezone(UTC).replace(tzinfo=None)
    properties = word.core_properties
    properties.title, properties.author, properties.comments = _clean(document.file_name)[:255], "Hansard", ""
    properties.created = properties.modified = at
    language = document.transcript.language
    if language:
        properties.language = language
        # So that the spelling is checked in the language that was spoken.
        for element in word.styles.element.iter(qn("w:lang")):
            for kind in ("w:val", "w:eastAsia", "w:bidi"):
                element.set(qn(kind), language)


def _add(word: WordDocument, style: str, *, from_right: bool = False) -> Paragraph:
    paragraph = word.add_paragraph(style=style)
    if from_right:
        paragraph._p.get_or_add_pPr().append(OxmlElement("w:bidi"))  # noqa: SLF001 - it has no name for it
    return paragraph


def _clean(text: str) -> str:
    """XML has no place for most control characters."""
    return _NOT_IN_XML.sub("\ufffd", text)


def _without_dates(file: io.BytesIO) -> bytes:
    with zipfile.ZipFile(file) as made:
        return archive({name: made.read(name) for name in made.namelist()})
