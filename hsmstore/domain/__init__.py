"""States, rules, entities, errors and ports. No I/O."""
