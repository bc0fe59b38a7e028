"""The management API under /_hsmstore/."""
