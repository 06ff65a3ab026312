"""HTML from nested calls. Whatever is not `Markup` is escaped, so names and messages can say what they like."""

from markupsafe import Markup, escape

Content = str | int | float | Markup | None

_VOID = frozenset({"meta", "link", "br"})


def tag(name: str, /, *content: Content, **attributes: Content | bool) -> Markup:
    """An element. `class_` is `class`, other underscores are hyphens; None and False leave an attribute out."""
    written = Markup().join(
        Markup(' {}="{}"').format(_attribute(key), "" if value is True else value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    start = Markup("<{}{}>").format(name, written)
    return start if name in _VOID else start + together(*content) + Markup("</{}>").format(name)


def together(*content: Content) -> Markup:
    """One after the other; None is nothing."""
    return Markup().join(escape(each) for each in content if each is not None)


def _attribute(key: str) -> str:
    return key if key in {"viewBox", "preserveAspectRatio"} else key.rstrip("_").replace("_", "-")
