"""People of an environment, over the API."""
