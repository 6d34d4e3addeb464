"""Headers that make browsers treat responses more strictly (OWASP ASVS 5.0 §3.4)."""

# Nothing of a JSON document may be loaded, run or framed, whatever a browser takes it for.
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

# Browsers ignore the first one over plain HTTP (RFC 6797 §8.1). Other hosts of the domain are not ours to
# decide on, so it has no includeSubDomains.
COMMON = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
# Of responses that are no pages.
STRICT = COMMON | {"Content-Security-Policy": _NOTHING}
# Of responses of other services, where they do not set their own: a page keeps working unless it is framed
# by another site.
FORWARDED = COMMON | {"Content-Security-Policy": "frame-ancestors 'self'; base-uri 'self'; object-src 'none'"}
