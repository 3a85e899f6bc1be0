"""`python -m providers.sandbox`: migrate, seed when new, serve."""

import os
import socket
import sys

from providers.sandbox import environment


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns 1, with one line on stderr, when it cannot start."""
    try:
        settings = environment.read()
        listener = _listener(settings.host, settings.port)
        environment.prepare(settings)
    except environment.BadEnvironment as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename or ''} {settings.host}:{settings.port}".strip()
        print(f"sandbox: cannot start at {where}: {error.strerror}.", file=sys.stderr)
        return 1
    os.environ["DJANGO_SETTINGS_MODULE"] = "providers.sandbox.settings"
    # Imported late: Django reads its settings when these are loaded, and the secrets exist only
    # now.
    from providers.sandbox.server import prepare_database, serve

    prepare_database(settings)
    print(f"sandbox: serving {settings.public_url}", file=sys.stderr, flush=True)
    serve(listener)
    return 0


def _listener(host: str, port: int) -> socket.socket:
    """A bound socket: a port in use is found before anything else is done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.set_inheritable(True)
    return listener


if __name__ == "__main__":
    raise SystemExit(main())
