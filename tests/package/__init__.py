"""What is shipped: the wheel, the source distribution, and what else people install hsmstore with."""
