"""The API's base: envelope, errors, pagination, limits, request ids. Nothing about calendars."""
