"""Where the ports meet their adapters: the only room that names concrete classes."""
