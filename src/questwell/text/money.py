"""How dollars are written: on the terminal, in pages, cards and messages alike."""

UNKNOWN = "unknown"


def dollars(usd: float | None) -> str:
    """`$0`, `$0.0123`, `$4.20`, `$1,234.50`; what is spent is never shown as nothing, and None is unknown."""
    if usd is None:
        return UNKNOWN
    if 0 < usd < 0.0001:
        return "under $0.0001"
    return "$0" if usd == 0 else f"${usd:.4f}" if usd < 0.99995 else f"${usd:,.2f}"
