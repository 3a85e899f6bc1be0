"""WebDAV's XML: what is asked, and what is answered (RFC 4918 sections 9, 13 and 14).

Written and read with lxml, without DTDs, entities, network or huge trees.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from lxml import etree

from providers.errors import InvalidResponse

DAV = "{DAV:}"
CALDAV = "{urn:ietf:params:xml:ns:caldav}"
CALENDARSERVER = "{http://calendarserver.org/ns/}"
APPLE = "{http://apple.com/ns/ical/}"
_PREFIXES = {
    "d": "DAV:",
    "c": "urn:ietf:params:xml:ns:caldav",
    "cs": "http://calendarserver.org/ns/",
    "ic": "http://apple.com/ns/ical/",
}
# What XML 1.0 does not allow (section 2.2), as it comes in answers nevertheless: as characters, and
# as references to them.
_CONTROL = bytes({*range(32)} - {*b"\t\n\r"})
_NO_CHARACTERS = ("\ufffe", "\uffff")
_REFERENCE = re.compile(
    r"&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|[xX]0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]"
    r"|[dD][89a-fA-F][0-9a-fA-F]{2}|[fF]{3}[eE]|[fF]{4}));"
)
# Of a body that are read at once, and how far back a reference can have begun.
_PIECE, _LONGEST_REFERENCE = 64 * 1024, 64
_OKAY = range(200, 300)


@dataclass(frozen=True, slots=True)
class Property:
    """A property's value as far as it is ever asked about: its text, the hrefs and the elements in
    it (by Clark name), and the names of calendar components.
    """

    text: str = ""
    hrefs: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    components: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Member:
    """One response about one resource. `href` as it was sent. `status` is that of the resource as a
    whole, 0 when the answer has properties instead; of these, only the ones that are there.
    """

    href: str
    status: int
    properties: Mapping[str, Property] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The text of a property; empty when it is not there."""
        return self.properties[name].text if name in self.properties else ""

    def hrefs(self, name: str) -> tuple[str, ...]:
        return self.properties[name].hrefs if name in self.properties else ()

    def names(self, name: str) -> frozenset[str]:
        return self.properties[name].names if name in self.properties else frozenset()


class Members:
    """The members of a 207's body, read as they are iterated over: a listing of a hundred thousand
    objects never stands in memory as such. `url` is what answered, after redirects: hrefs are
    relative to it. `sync_token` is known afterwards.

    Iterating raises InvalidResponse: it is no multistatus (HTML, nothing), or cut off, which may
    show only at its end.
    """

    def __init__(self, url: str, body: bytes) -> None:
        self.url, self.sync_token = url, ""
        self._body = body

    def __iter__(self) -> Iterator[Member]:
        parser = etree.XMLPullParser(
            ("start", "end"),
            # No others: each that is shown becomes an object of Python's.
            tag=(f"{DAV}multistatus", f"{DAV}response", f"{DAV}sync-token"),
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        is_multistatus = False
        try:
            for piece in filter(None, _cleaned(self._body)):
                parser.feed(piece)
                for event, element in cast("Iterator[tuple[str, Any]]", parser.read_events()):
                    if event == "start":
                        if not is_multistatus:
                            is_multistatus = _is_root(element)
                    elif element.tag == f"{DAV}response":
                        yield from _members(element)
                        _forget(element)
                    elif element.tag == f"{DAV}sync-token" and _is_below_root(element):
                        self.sync_token = _text(element)
            parser.close()
        except etree.LxmlError:
            raise InvalidResponse(
                "The server's answer is not the XML that WebDAV promises."
            ) from None
        if not is_multistatus:
            raise InvalidResponse("The server's answer is no multistatus.")

    def whole(self) -> Multistatus:
        """All of them, of an answer that is not long."""
        return Multistatus(self.url, list(self))


@dataclass(frozen=True, slots=True)
class Multistatus:
    """All members of an answer that is not long."""

    url: str
    members: list[Member]


def read_multistatus(url: str, body: bytes) -> Multistatus:
    """A 207's body as a whole. Raises as Members does."""
    return Members(url, body).whole()


def preconditions(body: bytes) -> frozenset[str]:
    """The local names in a `DAV:error` (RFC 4918 section 16); empty when the body is none."""
    root = _error(body)
    return frozenset(etree.QName(each).localname for each in root if each is not root[0])


def conflicting(body: bytes) -> tuple[str, ...]:
    """The hrefs in a `DAV:error`: of an object that is in the way (RFC 4791 section 5.3.2.1)."""
    return tuple(_text(each) for each in _error(body) if each.tag == f"{DAV}href")


def _error(body: bytes) -> list[etree._Element]:
    """A `DAV:error` and all elements in it; empty when the body is none."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8"
    )
    try:
        root = etree.fromstring(b"".join(_cleaned(body[:65536])), parser)
    except (etree.LxmlError, ValueError):
        return []
    return list(root.iter("*")) if root is not None and root.tag == f"{DAV}error" else []


def propfind(names: Collection[str]) -> bytes:
    """The body that asks for these properties, by Clark name."""
    root = _element(f"{DAV}propfind")
    _ask(root, names)
    return _written(root)


def sync_collection(token: str) -> bytes:
    """RFC 6578 section 3.2, without `DAV:limit`, which several servers answer with gaps."""
    root = _element(f"{DAV}sync-collection")
    etree.SubElement(root, f"{DAV}sync-token").text = token
    etree.SubElement(root, f"{DAV}sync-level").text = "1"
    _ask(root, [f"{DAV}getetag"])
    return _written(root)


def multiget(hrefs: Collection[str]) -> bytes:
    """RFC 4791 section 7.9."""
    root = _element(f"{CALDAV}calendar-multiget")
    _ask(root, [f"{DAV}getetag", f"{CALDAV}calendar-data"])
    for href in hrefs:
        etree.SubElement(root, f"{DAV}href").text = href
    return _written(root)


def calendar_query(start: str, end: str) -> bytes:
    """RFC 4791 section 7.8: the versions of what overlaps a range, both ends as `…T…Z`."""
    root = _element(f"{CALDAV}calendar-query")
    _ask(root, [f"{DAV}getetag"])
    condition = etree.SubElement(root, f"{CALDAV}filter")
    for name in ("VCALENDAR", "VEVENT"):
        condition = etree.SubElement(condition, f"{CALDAV}comp-filter", name=name)
    etree.SubElement(condition, f"{CALDAV}time-range", start=start, end=end)
    return _written(root)


def _element(name: str) -> etree._Element:
    return etree.Element(name, nsmap=_PREFIXES)


def _ask(root: etree._Element, names: Collection[str]) -> None:
    wanted = etree.SubElement(root, f"{DAV}prop")
    for name in names:
        etree.SubElement(wanted, name)


def _written(root: etree._Element) -> bytes:
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def _cleaned(body: bytes) -> Iterator[bytes]:
    """The body without what no XML may have, in pieces."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    kept, has_begun = "", False
    for start in range(0, max(len(body), 1), _PIECE):
        piece = body[start : start + _PIECE].translate(None, _CONTROL)
        text = kept + decoder.decode(piece, final=start + _PIECE >= len(body))
        for character in _NO_CHARACTERS:
            text = text.replace(character, "")
        if not has_begun:
            text = text.lstrip()
        # A reference may go on in the next piece.
        cut = text.rfind("&", -_LONGEST_REFERENCE)
        is_open = cut >= 0 and ";" not in text[cut:]
        text, kept = (text[:cut], text[cut:]) if is_open else (text, "")
        has_begun = has_begun or bool(text)
        yield (_REFERENCE.sub("", text) if "&#" in text else text).encode()
    yield kept.encode()


def _is_root(element: etree._Element) -> bool:
    """Raises InvalidResponse unless this, the first element that is looked at, is a multistatus and
    the root.
    """
    if element.getroottree().docinfo.internalDTD is not None:
        raise InvalidResponse("The server's answer has a document type.")
    if element.tag != f"{DAV}multistatus" or element.getparent() is not None:
        raise InvalidResponse("The server's answer is no multistatus.")
    return True


def _is_below_root(element: etree._Element) -> bool:
    parent = element.getparent()
    return parent is not None and parent.tag == f"{DAV}multistatus"


def _forget(element: etree._Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and (earlier := element.getprevious()) is not None:
        if earlier.tag == f"{DAV}response":
            parent.remove(earlier)
        else:
            break


def _members(response: etree._Element) -> list[Member]:
    hrefs: list[str] = []
    status = 0
    properties: dict[str, Property] = {}
    has_properties = False
    for child in response.iterchildren("*"):
        if child.tag == f"{DAV}href":
            hrefs.append(_text(child))
        elif child.tag == f"{DAV}status":
            status = _status(_text(child))
        elif child.tag == f"{DAV}propstat":
            has_properties = True
            properties |= _found(child)
    if has_properties:
        status = 0
    return [Member(href, status, properties) for href in hrefs if href]


def _found(propstat: etree._Element) -> dict[str, Property]:
    """The properties of a propstat that says that they are there."""
    said = propstat.findtext(f"{DAV}status")
    if said and _status(said.strip()) not in _OKAY:
        return {}
    prop = propstat.find(f"{DAV}prop")
    return {} if prop is None else {str(e.tag): _property(e) for e in prop.iterchildren("*")}


def _property(element: etree._Element) -> Property:
    inner = list(element.iterdescendants("*"))
    links = [child for child in inner if child.tag == f"{DAV}href"]
    # Apple's servers mark which of an account's addresses is the main one.
    links.sort(key=lambda link: link.get("preferred") != "1")
    return Property(
        text=(element.text or "").strip() if inner else _text(element),
        hrefs=tuple(text for link in links if (text := _text(link))),
        names=frozenset(str(child.tag) for child in inner),
        components=frozenset(
            child.get("name", "").upper() for child in inner if child.tag == f"{CALDAV}comp"
        ),
    )


def _text(element: etree._Element) -> str:
    return "".join(str(part) for part in element.itertext()).strip()


def _status(line: str) -> int:
    """The code of a status line such as `HTTP/1.1 404 Not Found`; 0 when there is none."""
    found = re.search(r"\b([1-5]\d\d)\b", line.partition(" ")[2] or line)
    return int(found[1]) if found else 0
