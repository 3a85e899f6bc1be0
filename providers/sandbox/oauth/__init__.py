"""The authorization server: django-oauth-toolkit with Google's habits."""
