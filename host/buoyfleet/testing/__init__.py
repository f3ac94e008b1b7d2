"""What the pytest plugin gives to the tests of others: boards and runs that explain themselves."""
