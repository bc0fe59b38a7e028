"""The adapters of the machine itself."""
