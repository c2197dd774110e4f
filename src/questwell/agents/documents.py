"""Document tools: makes the observation when an agent opens a document or searches inside it."""

from dataclasses import replace

from questwell.agents.moves import Find, Open
from questwell.agents.session import ReadingSession, Session
from questwell.agents.tools import Shelf, neutralise
from questwell.types.corpus import Hit
from questwell.types.trajectory import Reading, Turn


async def read(move: Open | Find, session: Session, shelf: Shelf, k: int, turn: Turn) -> Turn:
    """`turn` with the passages that were read, numbered like those found by searches.

    Raises:
        RetrievalError: the retriever failed, or cannot return documents.
    """
    passage = shelf.passage(move.passage)
    if passage is None:
        said = f"There is no passage [{move.passage}]. Name one that you were shown."
        return replace(turn, observation=said)
    if not isinstance(session, ReadingSession):
        return replace(turn, observation="Documents cannot be opened here. Search instead.")
    document, title = passage.document_id, neutralise(passage.title or passage.document_id, 200)
    if isinstance(move, Find):
        found = await session.find_in(document, move.query, k)
        hits, told = found or (), f"In {title!r}:\n" if found else f"Nothing in {title!r} fits. "
        reading = Reading(document, query=move.query)
    else:
        page = await session.read_page(document, move.page)
        hits = tuple(Hit(one, 0.0, rank) for rank, one in enumerate(page.passages if page else (), 1))
        pages = page.pages if page else 0
        told = (
            f"{title!r}, page {move.page} of {pages}:\n" if hits else f"{title!r} has {pages} pages, not {move.page}. "
        )
        reading = Reading(document, move.page)
    shown = shelf.show(hits) if hits else "Search, or open another document."
    return replace(turn, reading=reading, hits=hits, observation=f"{told}{shown}")
