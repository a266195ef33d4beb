"""How the corpus is named wherever its numbers are shown: the demo's name carries a warning."""


def origin(corpus: str) -> str:
    """The corpus's name, with the warning that the demo's numbers carry wherever they appear."""
    return f"{corpus} (SYNTHETIC speech: no medical meaning)" if corpus == "demo" else corpus
