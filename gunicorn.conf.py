"""How gunicorn serves the product, here and in production. GUNICORN_CMD_ARGS overrides any of it.

The number of worker processes comes from WEB_CONCURRENCY, which gunicorn reads itself.
"""

worker_class = "gthread"  # requests wait for the database and for providers: threads are cheap
threads = 8
timeout = 60
graceful_timeout = 20
keepalive = 5
limit_request_line = 8190
max_requests = 20_000  # a worker that has leaked memory is renewed, not all of them at once
max_requests_jitter = 2_000
# It would open a socket below the home directory, which a service account need not have.
control_socket_disable = True
# Paths without queries, and no referrers: a callback's query holds an authorization code.
access_log_format = '%(h)s "%(m)s %(U)s %(H)s" %(s)s %(B)s bytes %(M)s ms'
