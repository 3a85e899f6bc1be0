"""Microsoft's dialect: the identity platform and Graph's calendars, on the same store."""
