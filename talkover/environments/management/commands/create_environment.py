from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser
from django.db import transaction

from talkover.environments.management.base import OperatorCommand, positive, refuse
from talkover.environments.models import Environment, RedirectURI


class Command(OperatorCommand):
    help = "Create an environment, and show its signing key, once."

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument(
            "--timezone", default="UTC", help="IANA name; of calendars that name none"
        )
        parser.add_argument("--rate-limit", type=positive, default=1000, metavar="PER_MINUTE")
        parser.add_argument(
            "--redirect-uri",
            action="append",
            default=[],
            help="where browsers may be sent after authorising; repeatable. None: any https URI",
        )
        parser.add_argument(
            "--direct-redirect-uri",
            action="append",
            default=[],
            help="the same, and providers send the browser straight there; repeatable",
        )
        parser.add_argument(
            "--handshake",
            choices=Environment.Handshake.values,
            default=Environment.Handshake.AUTOMATIC,
            help="confirmed: the application's backend confirms each connection",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        environment = Environment(
            name=options["name"].strip(),
            timezone=options["timezone"],
            rate_limit_per_minute=options["rate_limit"],
            handshake=options["handshake"],
        )
        signing_key = environment.renew_signing_key()
        try:
            with transaction.atomic():
                environment.full_clean()
                environment.save()
                for name in ("redirect_uri", "direct_redirect_uri"):
                    for uri in options[name]:
                        redirect_uri = RedirectURI(
                            environment=environment, uri=uri, is_direct=name.startswith("direct")
                        )
                        redirect_uri.full_clean()
                        redirect_uri.save()
        except ValidationError as error:
            raise refuse(error) from None
        self.report(
            options,
            {
                "id": environment.pk,
                "name": environment.name,
                "timezone": environment.timezone,
                "rate_limit_per_minute": environment.rate_limit_per_minute,
                "handshake": environment.handshake,
                "redirect_uris": options["redirect_uri"],
                "direct_redirect_uris": options["direct_redirect_uri"],
                "signing_key": signing_key,
            },
            f"Created {environment.name} ({environment.pk}).\n"
            f"Signing key, shown this once: {signing_key}\n"
            f'Next: manage.py issue_token "{environment.name}"',
        )
