"""What sections are built of: tiles, tables, badges, and what stands where there is nothing to show."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from hansard.domain.errors import Failure
from hansard.http.dashboard.html import Content, tag, together


def section(id: str, title: str, *content: Content, about: str) -> Markup:
    """`about` says in a sentence what is to be seen here."""
    heading = tag("h2", title, id=f"{id}-title")
    return tag("section", tag("header", heading, tag("p", about)), *content, id=id, aria_labelledby=f"{id}-title")


def tiles(*each: Markup) -> Markup:
    return tag("dl", *each, class_="tiles")


def tile(name: str, figure: str, note: Content = None, *, tone: str | None = None) -> Markup:
    """`tone` is good, bad or warn."""
    return tag(
        "div",
        tag("dt", name),
        tag("dd", figure, class_=f"figure {tone}" if tone else "figure"),
        tag("dd", note, class_="note") if note else None,
        class_="tile",
    )


def columns(*each: Content) -> Markup:
    """Side by side where there is room."""
    return tag("div", *each, class_="columns")


def card(*content: Content) -> Markup:
    return tag("div", *content, class_="card")


def titled(title: str, *content: Content, note: str | None = None) -> Markup:
    return card(tag("h3", title, tag("small", note) if note else None), *content)


def table(heads: Sequence[str], rows: Iterable[Sequence[Content]], *, text: int = 1) -> Markup:
    """The first `text` columns hold words, the others figures, which are aligned to the right."""
    classes = [None if number < text else "number" for number in range(len(heads))]
    head = (tag("th", name, scope="col", class_=class_) for name, class_ in zip(heads, classes, strict=True))
    body = (
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell, class_=class_) for cell, class_ in zip(row[1:], classes[1:], strict=True)),
        )
        for row in rows
    )
    wide = "wide" if len(heads) > 5 else None
    whole = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), class_=wide)
    return tag("div", whole, class_="scroll", tabindex=0)  # so that it can be scrolled by keyboard


def badge(text: str, tone: str) -> Markup:
    """`tone` is good, bad, warn or plain."""
    return tag("span", text, class_=f"badge {tone}")


def code(text: str) -> Markup:
    return tag("code", text)


def dim(text: str) -> Markup:
    return tag("span", text, class_="dim")


def empty(what: str, *next_step: Content) -> Markup:
    """Nothing is there, and what to do to see something."""
    return tag("div", tag("p", tag("b", what)), tag("p", *next_step), class_="empty")


def trouble(failure: Failure) -> Markup:
    next_step = tag("p", failure.help) if failure.help else None
    return tag("div", tag("p", tag("b", failure.message)), next_step, class_="empty bad", role="status")


def beside(*content: Content) -> Markup:
    """In one line, with gaps between."""
    return tag("span", together(*content), class_="beside")
