"""A server without a network that says what a test pleases, in WebDAV's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from providers.base import Access, Response

HOST = "https://dav.example.com"
PRINCIPAL = f"{HOST}/principals/anna/"
HOME = f"{HOST}/calendars/anna/"
CALENDAR = f"{HOME}work/"
SECRET = "app-password-canary"
ACCESS = Access(address=PRINCIPAL, user="anna", secret=SECRET)

_SPACES = (
    'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'
    ' xmlns:cs="http://calendarserver.org/ns/" xmlns:ic="http://apple.com/ns/ical/"'
)
NAMES_PRINCIPAL = (
    "<d:current-user-principal><d:href>/principals/anna/</d:href></d:current-user-principal>"
)
HAS_HOME = (
    "<c:calendar-home-set><d:href>/calendars/anna/</d:href></c:calendar-home-set>"
    "<c:calendar-user-address-set><d:href>/principals/anna/</d:href>"
    "<d:href>mailto:anna@example.com</d:href></c:calendar-user-address-set>"
    "<d:displayname>Anna</d:displayname>"
)
Answer = Response | Exception | Callable[["Sent"], Response]


@dataclass(frozen=True)
class Sent:
    """A request as it went out."""

    method: str
    url: str
    headers: dict[str, str]
    body: str

    @property
    def proof(self) -> str:
        return self.headers.get("Authorization", "")


@dataclass
class Dav:
    """Answers by method and URL, each list in turn and its last for ever; 404 to all else."""

    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def on(self, method: str, url: str, *answers: Answer) -> Dav:
        self.answers[method, url] = list(answers)
        return self

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        sent = Sent(method, url, dict(headers or {}), (body or b"").decode())
        self.sent.append(sent)
        waiting = self.answers.get((method, url), [reply(404)])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else answer(sent)

    def paths(self) -> list[str]:
        """What was asked, as `METHOD path`."""
        return [
            f"{sent.method} /{sent.url.partition('//')[2].partition('/')[2]}" for sent in self.sent
        ]


def reply(status: int, body: str | bytes = b"", **headers: str) -> Response:
    raw = body.encode() if isinstance(body, str) else body
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def multistatus(*responses: str, token: str = "", status: int = 207) -> Response:
    end = f"<d:sync-token>{escape(token)}</d:sync-token>" if token else ""
    text = (
        f'<?xml version="1.0"?><d:multistatus {_SPACES}>{"".join(responses)}{end}</d:multistatus>'
    )
    return reply(status, text)


def resource(href: str, found: str = "", *, missing: str = "") -> str:
    """One response: these properties (XML) are there, those are not."""
    parts = f"<d:href>{escape(href)}</d:href>"
    for properties, status in ((found, "200 OK"), (missing, "404 Not Found")):
        if properties or (status == "200 OK" and not missing):
            parts += (
                f"<d:propstat><d:prop>{properties}</d:prop>"
                f"<d:status>HTTP/1.1 {status}</d:status></d:propstat>"
            )
    return f"<d:response>{parts}</d:response>"


def gone(href: str, status: str = "404 Not Found") -> str:
    return f"<d:response><d:href>{href}</d:href><d:status>HTTP/1.1 {status}</d:status></d:response>"


def version(href: str, etag: str) -> str:
    return resource(href, f"<d:getetag>{escape(etag)}</d:getetag>")


def event(href: str, etag: str, text: str) -> str:
    """A response to a multiget."""
    data = f"<c:calendar-data>{escape(text)}</c:calendar-data>"
    return resource(href, f"<d:getetag>{escape(etag)}</d:getetag>{data}")


def ical(uid: str = "u1", summary: str = "Lunch", extra: str = "") -> str:
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", "BEGIN:VEVENT", f"UID:{uid}",
        "DTSTAMP:20260101T000000Z", "DTSTART:20260601T100000Z", "DTEND:20260601T110000Z",
        f"SUMMARY:{summary}", *([extra] if extra else []), "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip
    return "\r\n".join(lines)


def error(*names: str) -> str:
    inner = "".join(f"<{name}/>" for name in names)
    return f"<d:error {_SPACES}>{inner}</d:error>"


def server(**at: str) -> Dav:
    """Says whose account it is at `/`, and knows the account."""
    dav = Dav().on("PROPFIND", f"{HOST}/", multistatus(resource("/", NAMES_PRINCIPAL)))
    return dav.on("PROPFIND", PRINCIPAL, multistatus(resource("/principals/anna/", HAS_HOME)))


def called(name: str, more: str = "") -> str:
    kind = "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"
    return f"{kind}<d:displayname>{name}</d:displayname>{more}"


def listing(*responses: str) -> Dav:
    return server().on("PROPFIND", HOME, multistatus(resource("/calendars/anna/"), *responses))
