"""The fault driver: many syncs of random calendars while everything around them breaks.

`python -m tests.soak --rounds N --seed S`, or `make soak`. A round edits calendars at the provider,
strikes the installation with faults and asks for syncs. Every so many rounds, and at the end,
everything is healed, and each calendar must equal the provider's.
"""
