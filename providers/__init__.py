"""Providers: connecting people's calendars and keeping them in sync."""
