"""The name under which numbers are shown, apart from the report: what else says it must not follow its wording."""


def origin(corpus: str) -> str:
    """The corpus's name, with the warning that the demo's numbers carry wherever they appear."""
    return f"{corpus} (SYNTHETIC speech: no medical meaning)" if corpus == "demo" else corpus
