"""What the users' tests import."""
