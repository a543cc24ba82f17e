"""The one account of the sandbox. It is the one that moto answers for unless told otherwise."""

ACCOUNT = "123456789012"
