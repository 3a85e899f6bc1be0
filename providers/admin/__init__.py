"""What staff see and do: configurations, connections, and how their syncs went.

Secrets go in and never come out: tokens are in a model that is not here, and of the sealed columns
none is ever a field of a page. Connections are not edited; they are synced and disconnected.
"""

from django.contrib import admin

from providers.admin import audit, configurations, connections, records

__all__ = ["audit", "configurations", "connections", "records"]

admin.site.site_header = "Talkover calendars"
admin.site.site_title = "Talkover calendars"
admin.site.index_title = "Administration"
# The lists need its width.
admin.site.enable_nav_sidebar = False
