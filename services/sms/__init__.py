"""The SMS worker: consumes send-code messages and calls Yunpian."""
