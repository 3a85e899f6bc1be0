"""The control API for tests: clients, accounts, settings, grants, troubles, the request log.

All paths, kinds and switches: docs/sandbox.md.

JSON in, JSON out. 400 `{"error": text}` for an order that makes no sense, 404 for what does not
exist.
"""

import functools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Concatenate, ParamSpec, cast

import orjson
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from providers.sandbox import switches, trouble
from providers.sandbox.google.errors import GoogleError, not_found
from providers.sandbox.google.times import zone_of
from providers.sandbox.kinds import KINDS
from providers.sandbox.microsoft import ids, renderings, tenants
from providers.sandbox.models import Account, Consent
from providers.sandbox.oauth.grants import end_consent, put_client
from providers.sandbox.seed.people import add_account
from providers.sandbox.seed.plain import add_plain_events

P = ParamSpec("P")
Json = dict[str, Any]


Control = Callable[Concatenate[HttpRequest, Json, P], Json]
Endpoint = Callable[Concatenate[HttpRequest, P], HttpResponse]


def controls(*methods: str, reads_body: bool = True) -> Callable[[Control[P]], Endpoint[P]]:
    """Make a JSON view of a function that takes (request, body, …) and returns a dict.

    `reads_body=False` leaves the body to the function, which then gets an empty dict.
    """

    def wrap(view: Control[P]) -> Endpoint[P]:
        @functools.wraps(view)
        def answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            try:
                body = orjson.loads(request.body or b"{}") if reads_body else {}
                content = orjson.dumps(view(request, body, *args, **kwargs))
            except GoogleError as error:
                return error.response()
            except KeyError as error:
                return JsonResponse({"error": f"{error.args[0]} is missing."}, status=400)
            except (ValueError, TypeError) as error:
                return JsonResponse({"error": str(error)}, status=400)
            return HttpResponse(content, content_type="application/json")

        return cast("Endpoint[P]", csrf_exempt(answer))

    return wrap


@controls("POST")
def clients(_request: HttpRequest, body: Json) -> Json:
    """`{client_id, client_secret, name?, redirect_uris: […]}`: create the client or replace it."""
    client = put_client(
        client_id=body["client_id"],
        client_secret=body["client_secret"],
        redirect_uris=body["redirect_uris"],
        name=body.get("name", ""),
    )
    return {"client_id": client.client_id, "redirect_uris": client.redirect_uris.split()}


@controls("GET", "POST")
def accounts(request: HttpRequest, body: Json) -> Json:
    """GET: all. POST `{email, name?, time_zone?, events?: N, microsoft?}`: a new one with N events.

    `microsoft` is what kind it is there. Naming it makes Graph's bodies of the events at once.
    """
    if request.method == "GET":
        return {"accounts": [_described(account) for account in Account.objects.all()]}
    if Account.objects.filter(email=body["email"]).exists():
        raise ValueError(f"There is already an account {body['email']}.")
    zone = body.get("time_zone", "UTC")
    zone_of(zone)
    kind = body.get("microsoft", tenants.WORK)
    if kind not in tenants.KINDS:
        raise ValueError(f"Unknown kind {kind!r}. Known: {', '.join(tenants.KINDS)}.")
    with transaction.atomic():
        account = add_account(
            email=body["email"], name=body.get("name", ""), time_zone=zone, microsoft=kind
        )
        calendar = account.entries.get().calendar
        add_plain_events(calendar, int(body.get("events", 0)))
        if "microsoft" in body:
            renderings.bring_up_to_date(calendar)
    return _described(account)


@controls("GET", "POST", "DELETE")
def settings_(request: HttpRequest, body: Json) -> Json:
    """GET: the switches, see switches.Switches. POST: set some. DELETE: all switches to normal.

    DELETE also sets back those of single accounts and calendars.
    """
    if request.method == "DELETE":
        return asdict(switches.reset())
    return asdict(switches.change(body) if request.method == "POST" else switches.current())


@controls("GET", "POST")
def account_settings(request: HttpRequest, body: Json, email: str) -> Json:
    """GET: the switches of one account, see switches.AccountSwitches. POST: set some of them."""
    account_called(email)
    if request.method == "POST":
        return asdict(switches.change_account(email, body))
    return asdict(switches.of_account(email))


@controls("POST")
def revoke(_request: HttpRequest, body: Json) -> Json:
    """`{email, client_id?}`: the person takes access back, from one application or from all.

    In both dialects.
    """
    consents = Consent.objects.select_related("account", "application").filter(
        account__email=body["email"]
    )
    if "client_id" in body:
        consents = consents.filter(application__client_id=body["client_id"])
    ended = list(consents)
    for consent in ended:
        end_consent(consent)
    return {"revoked": len(ended)}


@controls("GET", "POST", "DELETE")
def troubles(request: HttpRequest, body: Json) -> Json:
    """GET: what is ordered. POST: one more, with the fields of trouble.Trouble. DELETE: none."""
    if request.method == "POST":
        return asdict(trouble.order(trouble.Trouble(**body)))
    if request.method == "DELETE":
        trouble.clear()
    return {"troubles": trouble.listed()}


@controls("GET")
def kinds(_request: HttpRequest, _body: Json) -> Json:
    """The kinds of trouble: what each does, its targets, its reasons, what it needs."""
    return {"kinds": {name: asdict(kind) for name, kind in KINDS.items()}}


@controls("GET", "DELETE")
def requests(request: HttpRequest, _body: Json) -> Json:
    """GET: the last requests and the counts by target. DELETE: forget them."""
    if request.method == "DELETE":
        trouble.forget_requests()
    return trouble.requests()


def account_called(email: str) -> Account:
    """The account with this e-mail address. Raises 404."""
    account = Account.objects.filter(email=email).first()
    if account is None:
        raise not_found()
    return account


def _described(account: Account) -> Json:
    entries = account.entries.select_related("calendar__owner")
    return {
        "email": account.email,
        "name": account.name,
        "sub": account.sub,
        "time_zone": account.time_zone,
        "microsoft": account.microsoft,
        "calendars": [
            {
                "id": entry.calendar.google_id,
                "graph_id": ids.calendar_id(
                    ids.mailbox(entry.calendar.owner.email), entry.calendar.pk
                ),
                "summary": entry.calendar.summary,
                "access_role": entry.access_role,
                "primary": entry.primary,
            }
            for entry in entries
        ],
    }
