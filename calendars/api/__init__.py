"""Calendars and their events, over the API."""
