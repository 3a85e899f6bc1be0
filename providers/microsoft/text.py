"""HTML bodies as plain text. Pure.

Graph is asked for text, and may send HTML nevertheless: the preference is one.
https://learn.microsoft.com/graph/api/resources/itembody
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from providers.microsoft.wire import Body

# A message of forty pages; what comes after is never part of a description that is kept.
_MOST_HTML = 256 * 1024
_UNSEEN = frozenset({"head", "script", "style", "title"})
_BREAKS = frozenset(
    {"br", "div", "p", "li", "tr", "table", "ul", "ol", "hr", "blockquote", "pre"}
    | {f"h{n}" for n in range(1, 7)}
)


def text_of(body: Body | None) -> str:
    """The body as text, lines as Unix has them."""
    content = (body.content if body else None) or ""
    if not content or body is None:
        return ""
    if (body.content_type or "").lower() == "html":
        reader = _Reader()
        reader.feed(content[:_MOST_HTML])
        reader.close()
        return reader.text()
    return content.replace("\r\n", "\n").strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._unseen = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in _UNSEEN and not self._unseen:
            self._unseen = tag
        elif tag in _BREAKS:
            self._parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = ""
        elif tag in _BREAKS and tag != "br":
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._parts.append(re.sub(r"[ \t\r\n\f\v]+", " ", data))

    def text(self) -> str:
        lines = (line.strip() for line in "".join(self._parts).split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
