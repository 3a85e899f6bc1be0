"""A very small browser: pages, forms, cookies, redirects. No JavaScript, which is the point.

browser = FormBrowser()
browser.get(authorization_url)
browser.submit("Anna Keller")
page = browser.submit("Allow", granted_scope=[CALENDARS, EVENTS])
page.location   # where the last redirect left the site to
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urldefrag, urlencode, urljoin, urlsplit

import urllib3

_TEXT_TYPES = {
    "text",
    "hidden",
    "email",
    "url",
    "number",
    "date",
    "time",
    "password",
    "search",
    "tel",
}
_MOST_REDIRECTS = 12


@dataclass
class Field:
    """One control of a form. `ticked` counts for checkboxes and radios only."""

    name: str
    kind: str
    value: str
    ticked: bool = False
    label: str = ""


@dataclass
class Form:
    """A form as it stands on the page; `buttons` are its submit buttons."""

    action: str
    method: str
    fields: list[Field] = field(default_factory=list)
    buttons: list[Field] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """The values the controls of this name offer, e.g. all checkboxes of a group."""
        return [each.value for each in self.fields if each.name == name]


@dataclass
class Page:
    """What came back. `location`: set when a redirect led to another site, which is not visited."""

    url: str
    status: int
    headers: dict[str, str]
    html: str
    forms: list[Form]
    text: str
    location: str | None = None

    def button_labels(self) -> list[str]:
        """The labels of all submit buttons."""
        return [button.label for form in self.forms for button in form.buttons]


class FormBrowser:
    """Keeps cookies per host and port, as if each port were a host, and remembers the last page."""

    def __init__(self, headers: dict[str, str] | None = None) -> None:
        self._http = urllib3.PoolManager(retries=False, timeout=60)
        self._headers = headers or {}
        self.cookies: dict[str, dict[str, str]] = {}
        self.page: Page | None = None

    def get(self, url: str) -> Page:
        """Open an address (relative ones against the present page)."""
        base = self.page.url if self.page else ""
        return self._visit("GET", urljoin(base, url), None)

    def submit(self, button: str = "", **values: str | list[str]) -> Page:
        """Press the button with this label, this word in its label, or this text in it.

        An empty text is in every label, so it presses the first button.

        `values` fill controls by name; for checkboxes and radios a list names exactly those to
        tick. Raises LookupError when there is no such button or control.
        """
        form, pressed = self._find(button)
        unknown = set(values) - {each.name for each in form.fields}
        if unknown:
            raise LookupError(f"The form has no {sorted(unknown)}: {[f.name for f in form.fields]}")
        data = []
        for each in form.fields:
            data += _sent(each, values)
        if pressed.name:
            data.append((pressed.name, pressed.value))
        assert self.page is not None
        action = urljoin(self.page.url, form.action) if form.action else self.page.url
        if form.method == "get":
            return self._visit("GET", f"{action.partition('?')[0]}?{urlencode(data)}", None)
        return self._visit("POST", action, urlencode(data))

    def _find(self, label: str) -> tuple[Form, Field]:
        assert self.page is not None, "Open a page first."
        all_of_them = [(form, button) for form in self.page.forms for button in form.buttons]
        for fits in (str.__eq__, lambda text, word: word in text.split(), str.__contains__):
            for form, button in all_of_them:
                if fits(button.label, label):
                    return form, button
        raise LookupError(
            f"No button {label!r} on {self.page.url}; there are {self.page.button_labels()}"
        )

    def _visit(self, method: str, url: str, body: str | None) -> Page:
        origin = _origin(url)
        for _ in range(_MOST_REDIRECTS):
            response = self._request(method, url, body)
            location = response.headers.get("Location")
            if response.status not in {301, 302, 303, 307, 308} or not location:
                return self._arrive(url, response, None)
            target = urljoin(url, location)
            if _origin(target) != origin:
                return self._arrive(url, response, target)
            if response.status not in {307, 308}:
                method, body = "GET", None
            url = target
        raise AssertionError(f"More than {_MOST_REDIRECTS} redirects, the last to {url}")

    def _request(self, method: str, url: str, body: str | None) -> urllib3.BaseHTTPResponse:
        origin, headers = _origin(url), dict(self._headers)
        jar = self.cookies.setdefault(origin, {})
        if jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin}
        response = self._http.request(
            method, urldefrag(url).url, body=body, headers=headers, redirect=False
        )
        for line in response.headers.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or "1970" in morsel["expires"]:
                    jar.pop(name, None)
                else:
                    jar[name] = morsel.value
        return response

    def _arrive(self, url: str, response: urllib3.BaseHTTPResponse, location: str | None) -> Page:
        html = response.data.decode("utf-8", "replace")
        reader = _Reader()
        if "html" in response.headers.get("Content-Type", ""):
            reader.feed(html)
        headers = {name.lower(): value for name, value in response.headers.items()}
        text = " ".join("".join(reader.text).split())
        self.page = Page(url, response.status, headers, html, reader.forms, text, location)
        return self.page


def _sent(each: Field, values: dict[str, str | list[str]]) -> list[tuple[str, str]]:
    """What one control contributes to the submission."""
    given = values.get(each.name)
    if each.kind in {"checkbox", "radio", "option"}:
        chosen = [given] if isinstance(given, str) else given
        ticked = each.ticked if chosen is None else each.value in chosen
        return [(each.name, each.value)] if ticked else []
    return [(each.name, each.value if given is None else str(given))]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.text: list[str] = []
        self._form: Form | None = None
        self._button: Field | None = None
        self._select: str | None = None
        self._area: Field | None = None
        self._silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in {"style", "script"}:
            self._silent = True
        elif tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and "disabled" not in given:
            self._control(self._form, tag, given)

    def _control(self, form: Form, tag: str, given: dict[str, str]) -> None:
        name, kind = given.get("name", ""), given.get("type", "text").lower()
        if tag == "button" or (tag == "input" and kind == "submit"):
            self._press(form, tag, name, given)
        elif tag == "input" and name and kind in {"checkbox", "radio"}:
            form.fields.append(Field(name, kind, given.get("value", "on"), "checked" in given))
        elif tag == "input" and name and kind in _TEXT_TYPES:
            form.fields.append(Field(name, kind, given.get("value", "")))
        elif tag == "textarea" and name:
            self._area = Field(name, "textarea", "")
            form.fields.append(self._area)
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            self._option(form, self._select, given)

    def _press(self, form: Form, tag: str, name: str, given: dict[str, str]) -> None:
        made = Field(name, "button", given.get("value", ""), label=given.get("value", ""))
        if given.get("type", "submit").lower() == "submit":
            form.buttons.append(made)
        if tag == "button":
            made.label, self._button = "", made

    def _option(self, form: Form, name: str, given: dict[str, str]) -> None:
        others = [each for each in form.fields if each.name == name]
        chosen = "selected" in given or not others
        for each in others:
            each.ticked = each.ticked and not chosen
        form.fields.append(Field(name, "option", given.get("value", ""), chosen))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"style", "script"}:
            self._silent = False
        elif tag == "form":
            self._form = None
        elif tag == "button" and self._button is not None:
            self._button.label = " ".join(self._button.label.split())
            self._button = None
        elif tag == "textarea":
            self._area = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._button is not None:
            self._button.label += f" {data}"
        if self._area is not None:
            self._area.value += data
        self.text.append(f"{data} ")
