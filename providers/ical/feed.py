"""A calendar's text, cut into its objects without understanding them.

Only where components begin and end is looked at, and what names an object and its version. An
object's version is a hash of what it says: producers write a new DTSTAMP (and PRODID) into every
answer, and fold lines as they like; none of that is a change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256

from providers.ical.lines import Property, decode, own_lines, properties
from providers.ical.zones import named_zone

MOST_LINE_LENGTH = 1024 * 1024
MOST_COMPONENTS = 25_000
# Alarms and the parts of a zone, beside the components that hold them.
_MOST_BOUNDARIES = 16 * MOST_COMPONENTS
# Longer ones, and those that no database takes, are replaced by a hash of theirs.
_MOST_UID_BYTES = 512

_BOUNDARY = re.compile(
    r"^(BEGIN|END):[ \t]*+([A-Za-z0-9-]++)[ \t]*+$", re.MULTILINE | re.IGNORECASE
)
_UID = re.compile(r"^UID(?:;[^:\n]*+)?:[ \t]*+(.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_RECURRENCE_ID = re.compile(r"^RECURRENCE-ID[;:]", re.MULTILINE | re.IGNORECASE)
_SEQUENCE = re.compile(
    r"^SEQUENCE(?:;[^:\n]*+)?:[ \t]*+(\d{1,9})[ \t]*$", re.MULTILINE | re.IGNORECASE
)
_TZID = re.compile(r';TZID=("[^"\n]*+"|[^;:\n]*+)', re.IGNORECASE)
_STAMP = re.compile(r"^DTSTAMP[;:].*+\n", re.MULTILINE | re.IGNORECASE)
_IDENTITY = re.compile(r"^(?:DTSTART|SUMMARY|LOCATION)[;:].*+$", re.MULTILINE | re.IGNORECASE)
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f]")


class NotACalendar(ValueError):
    """The text is no iCalendar at all, such as a page that asks to sign in."""


class DamagedCalendar(ValueError):
    """It is a calendar, but not all of it is there: nothing may be concluded from it."""


class OversizedCalendar(ValueError):
    """The calendar is beyond a limit of ours; the text says which."""


@dataclass(frozen=True, slots=True)
class ObjectText:
    """What shares a UID: the unfolded VEVENTs, master and overrides in the order they came.

    `uid_is_missing`: the id is a hash of start, title and place, because there was no UID, or it
    was that of unrelated events as well.
    """

    id: str
    etag: str
    components: tuple[str, ...]
    uid_is_missing: bool = False


@dataclass(slots=True)
class Feed:
    """A calendar. `objects` by id; `zones` are its VTIMEZONEs by TZID, unfolded; `properties` its
    own by name, the first of each.
    """

    objects: dict[str, ObjectText] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """NAME (RFC 7986 section 5.1), else the older X-WR-CALNAME; empty without either."""
        return self._text("NAME") or self._text("X-WR-CALNAME")

    @property
    def time_zone(self) -> str:
        """X-WR-TIMEZONE as it is written; empty without one."""
        return self._text("X-WR-TIMEZONE")

    @property
    def refresh_interval(self) -> str:
        """REFRESH-INTERVAL (RFC 7986 section 5.7), else Microsoft's X-PUBLISHED-TTL: a DURATION
        as `values.duration` reads it, or empty.
        """
        return self._text("REFRESH-INTERVAL") or self._text("X-PUBLISHED-TTL")

    @property
    def doubtful_identities(self) -> int:
        """How many objects have no UID of their own."""
        return sum(item.uid_is_missing for item in self.objects.values())

    def _text(self, name: str) -> str:
        found = self.properties.get(name)
        return found.text().strip() if found else ""


def split(data: bytes | str, *, most_components: int = MOST_COMPONENTS) -> Feed:
    """The objects of a calendar's text. Components other than VEVENT and VTIMEZONE are left out.

    Raises NotACalendar, DamagedCalendar, OversizedCalendar.
    """
    text = decode(data)
    start = text.lstrip()[:15]
    if start.upper() != "BEGIN:VCALENDAR":
        raise NotACalendar("It does not begin with BEGIN:VCALENDAR.")
    if max(map(len, text.split("\n"))) > MOST_LINE_LENGTH:
        raise OversizedCalendar(f"A line is longer than {MOST_LINE_LENGTH} characters.")
    feed = Feed()
    cutter = _Cutter(text, feed, most_components)
    cutter.cut()
    digests = _ZoneDigests(feed)
    for key, blocks, missing in _objects(cutter.events):
        etag = _version(blocks, digests)
        feed.objects[key] = ObjectText(key, etag, tuple(blocks), missing)
    return feed


class _Cutter:
    """Finds where components begin and end; what is found goes into `events` and `feed`."""

    def __init__(self, text: str, feed: Feed, most_components: int) -> None:
        self.events: list[str] = []
        self._text = text
        self._feed = feed
        self._most = most_components
        self._stack: list[str] = []
        self._begin = self._own = self._count = 0
        self._head: list[str] = []

    def cut(self) -> None:
        """Raises DamagedCalendar, OversizedCalendar."""
        for number, found in enumerate(_BOUNDARY.finditer(self._text)):
            if number > _MOST_BOUNDARIES:
                raise OversizedCalendar("It has too many components inside others.")
            if found[1].upper() == "BEGIN":
                self._on_begin(found[2].upper(), found.start(), found.end())
            else:
                self._on_end(found[2].upper(), found.start(), found.end())
        if self._stack:
            raise DamagedCalendar("It ends before its end.")
        for item in properties("".join(self._head)):
            self._feed.properties.setdefault(item.name, item)

    def _on_begin(self, name: str, start: int, end: int) -> None:
        stack = self._stack
        if not stack or name == "VCALENDAR":
            if name == "VCALENDAR":
                self._stack, self._own = [name], end
        elif len(stack) == 1:
            self._head.append(self._text[self._own : start])
            self._start_component(name, start)
        elif name == "VEVENT" and name in stack:
            # The one before has no end: it is kept as it is, for the quarantine.
            self.events.append(self._text[self._begin : start])
            self._start_component(name, start)
        else:
            stack.append(name)

    def _on_end(self, name: str, start: int, end: int) -> None:
        stack = self._stack
        if name not in stack:
            return
        del stack[stack.index(name) :]
        if len(stack) == 1:
            _keep(name, self._text[self._begin : end], self.events, self._feed)
            self._own = end
        elif not stack:
            self._head.append(self._text[self._own : start])

    def _start_component(self, name: str, start: int) -> None:
        self._begin = start
        self._count += 1
        if self._count > self._most:
            raise OversizedCalendar(f"It has more than {self._most} components.")
        self._stack[1:] = [name]


def _keep(name: str, block: str, events: list[str], feed: Feed) -> None:
    if name == "VEVENT":
        events.append(block)
    elif name == "VTIMEZONE":
        for item in properties(block):
            if item.name == "TZID":
                feed.zones.setdefault(item.value.strip().strip('"'), block)


def _objects(events: list[str]) -> list[tuple[str, list[str], bool]]:
    """Id, components, and whether the id is made up, of each object."""
    by_uid: dict[str, list[str]] = {}
    nameless: list[str] = []
    for block in events:
        uid = _uid(block)
        if uid:
            by_uid.setdefault(uid, []).append(block)
        else:
            nameless.append(block)
    objects: list[tuple[str, list[str], bool]] = []
    for uid, blocks in by_uid.items():
        own, unrelated = _related(blocks) if len(blocks) > 1 else (blocks, [])
        nameless += unrelated
        if own:
            objects.append((_object_id(uid), own, False))
    made_up: dict[str, list[str]] = {}
    for block in nameless:
        made_up.setdefault(_derived_id(block), [block])
    return objects + [(key, blocks, True) for key, blocks in made_up.items()]


def _uid(block: str) -> str:
    """Of the event and not of an alarm in it (RFC 9074 gives alarms their own)."""
    found = _UID.search(block)
    if found and block.count("BEGIN:", 0, found.start()) > 1:
        found = _UID.search("\n".join(own_lines(block)))
    return found[1] if found else ""


def _related(blocks: list[str]) -> tuple[list[str], list[str]]:
    """What belongs to one UID, and the masters among it that have nothing to do with each other.

    Of several versions of one event the newest counts (RFC 5546 section 2.1.5).
    """
    masters = [block for block in blocks if not _RECURRENCE_ID.search(block)]
    if len(masters) < 2:
        return blocks, []
    overrides = [block for block in blocks if _RECURRENCE_ID.search(block)]
    versions = {_sequence(block): block for block in masters}
    if len(versions) == len(masters) or len({_derived_id(block) for block in masters}) == 1:
        return [versions[max(versions)], *overrides], []
    return overrides, masters


def _sequence(block: str) -> int:
    found = _SEQUENCE.search(block)
    return int(found[1]) if found else 0


def _object_id(uid: str) -> str:
    if _UNUSABLE.search(uid) or len(uid.encode(errors="replace")) > _MOST_UID_BYTES:
        return "uid-" + sha256(uid.encode(errors="replace")).hexdigest()
    return uid


def _derived_id(block: str) -> str:
    """The identity of an event without one: when it starts, its title and its place."""
    said = sorted(_IDENTITY.findall("\n".join(own_lines(block))))
    return "derived-" + sha256("\n".join(said).encode(errors="replace")).hexdigest()


class _ZoneDigests:
    """What an object's version owes to the calendar around it."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._by_id: dict[str, bytes] = {}
        self._default = feed.time_zone.encode(errors="replace")

    def of(self, text: str) -> bytes:
        """The default zone, and the definitions of the zones whose names say nothing."""
        if ";TZID=" not in text and ";tzid=" not in text:
            return self._default
        names = set(_TZID.findall(text))
        return self._default + b"".join([self._digest(name) for name in sorted(names)])

    def _digest(self, name: str) -> bytes:
        digest = self._by_id.get(name)
        if digest is None:
            plain = name.strip('"').strip()
            block = "" if named_zone(plain) else self._feed.zones.get(plain, "")
            digest = sha256(block.encode(errors="replace")).digest() if block else b""
            self._by_id[name] = digest
        return digest


def _version(blocks: list[str], digests: _ZoneDigests) -> str:
    text = blocks[0] if len(blocks) == 1 else "\n".join(sorted(blocks))
    said = _STAMP.sub("", text)
    return sha256(said.encode(errors="replace") + digests.of(text)).hexdigest()
