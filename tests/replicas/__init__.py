"""Several processes over one registry: what each step keeps, and what they keep together."""
