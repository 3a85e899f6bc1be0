"""Calendars and their events, whoever they come from."""
