"""The calendar API in the dialect of Google Calendar v3."""
