"""The header by which auth recognises the gateway; the gateway sends it to auth alone."""

HEADER = "X-Dialpass-Gateway"
