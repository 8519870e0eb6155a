"""Words that depend on numbers."""


def count(amount: int, what: str) -> str:
    """ "1 image", "2 images"."""
    return f"{amount} {what}" + ("" if amount == 1 else "s")
