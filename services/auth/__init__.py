"""Users, codes, tokens and sessions."""
