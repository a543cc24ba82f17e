"""Text from outside as it may be shown on a terminal. Pure."""


def printable(text: str) -> str:
    """The text with everything escaped that could steer a terminal or hide a line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
