"""HTML bodies as plain text. Pure.

Graph is asked for text, and may send HTML nevertheless: the preference is one.
https://learn.microsoft.com/graph/api/resources/itembody

Whoever invites somebody writes what is read here, so the text is gone through once and never back:
the parser of the standard library takes a minute for 250 kB of comments that nobody closes.
"""

from __future__ import annotations

import html
import re

from providers.microsoft.wire import Body

# A message of forty pages; what comes after is never part of a description that is kept.
_MOST_HTML = 256 * 1024
_COMMENT = "!--"
_UNSEEN = frozenset({"head", "script", "style", "title"})
_BREAKS = frozenset(
    {"br", "div", "p", "li", "tr", "table", "ul", "ol", "hr", "blockquote", "pre"}
    | {f"h{n}" for n in range(1, 7)}
)
_TAG = re.compile(r"(/?)([a-zA-Z][a-zA-Z0-9]*)|[!?]")


def text_of(body: Body | None) -> str:
    """The body as text, lines as Unix has them."""
    content = (body.content if body else None) or ""
    if not content or body is None:
        return ""
    if (body.content_type or "").lower() == "html":
        return _text_in(content[:_MOST_HTML])
    return content.replace("\r\n", "\n").strip()


def _text_in(content: str) -> str:
    first, *pieces = content.split("<")
    texts, unseen = [_flat(first)], ""
    for piece in pieces:
        if not unseen and piece.startswith(_COMMENT):
            unseen = _COMMENT
        tag, end, text = piece.partition("-->" if unseen == _COMMENT else ">")
        if unseen:
            if (unseen == _COMMENT and end) or tag.strip().lower() == f"/{unseen}":
                unseen = ""
                texts.append(_flat(text))
            continue
        match = _TAG.match(tag)
        if not end or match is None:  # only a sign
            texts.append(_flat(f"<{piece}"))
            continue
        closes, name = match[1], (match[2] or "").lower()
        if name in _UNSEEN and not closes:
            unseen = name
            continue
        if name in _BREAKS and not (closes and name == "br"):
            texts.append("\n")
        texts.append(_flat(text))
    lines = (line.strip() for line in html.unescape("".join(texts)).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _flat(text: str) -> str:
    return re.sub(r"[ \t\r\n\f\v]+", " ", text)
