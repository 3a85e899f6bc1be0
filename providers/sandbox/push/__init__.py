"""Push notifications: what is told when a watched calendar changes, and the way it gets there."""
