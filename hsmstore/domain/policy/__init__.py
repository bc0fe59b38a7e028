"""Policies of IAM and of KMS keys: what a document says, and whether it lets a request through. No I/O."""
