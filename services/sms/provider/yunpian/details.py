"""The words that Yunpian explains a refusal with, made fit for logs.

They name what an operator needs: the address that is missing on the white list (-3), the blocked word (4),
the signature (15), the parameter (2). They may also name the number, or quote the text with the code.
"""

import re
import unicodedata

_MAX_LENGTH = 200
# Three digits and less are counts, or parts of an IPv4 address; more may be a number or a code, also where
# they are grouped.
_DIGITS = re.compile(r"\+?\d(?:[ \-]?\d){3,}", re.ASCII)
_MASK = "****"


def mask_detail(detail: object) -> str:
    """Return a refusal's explanation without numbers and codes, in one line; empty where there is none."""
    if not isinstance(detail, str):
        return ""
    # Full-width digits become ASCII, so that the pattern finds them, too.
    text = " ".join(unicodedata.normalize("NFKC", detail).split())
    return _DIGITS.sub(_MASK, text)[:_MAX_LENGTH]
