"""The operator's commands of the SMS worker, `python -m services.sms --help`."""
