"""The built-in provider: a calendar service people can try the product with.

It is a small Django project of its own. It imports nothing of the product, and nothing of the
product imports it.
"""
