"""KMS keys in custom key stores: what a caller may ask of them and of what hangs on them."""
