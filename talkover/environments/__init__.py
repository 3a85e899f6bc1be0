"""The tenants: environments, their people and their tokens."""
