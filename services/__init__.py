"""The three processes: gateway, auth and sms."""
