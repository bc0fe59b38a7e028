"""Traces, through OpenTelemetry: imported nowhere else, and by a server that is told to trace alone."""
