"""Makes the certificate of an item from its last round and its gate results, without further calls."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from questwell.scoring.intervals import wilson
from questwell.scoring.times import named_time
from questwell.scoring.words import words
from questwell.types.certificate import Agreement, Certificate, EvidenceCertificate, Span
from questwell.types.corpus import Passage
from questwell.types.game import Attempt, Round
from questwell.types.gates import Gate, GateResult


def certify(
    last: Round,
    further: Iterable[GateResult] = (),
    judges: Sequence[Agreement] = (),
) -> Certificate:
    """The certificate of the question of `last`.

    Args:
        last: the last round, with its attempts and the results of the run's gates.
        further: results of gates that ran later; the later of two results of one gate is used.
        judges: agreement of other judges about the attempts.
    """
    proposal, verdict = last.proposal, last.verdict
    by_gate = {result.gate: result for result in (*last.gates, *further)}
    answers = (proposal.answer, *proposal.aliases)
    found = Certificate(
        difficulty=verdict.difficulty,
        solve_rate=wilson(verdict.right, verdict.scored),
        weak_solve_rate=None if last.weak is None else wilson(last.weak.verdict.right, last.weak.verdict.scored),
        closed_book=None,
        checks=(),
        evidence=tuple(_evidence(one, last.attempts, answers) for one in proposal.evidence),
        judges=tuple(judges),
        as_of=named_time(proposal.question),
    )
    return with_checks(found, tuple(by_gate[gate] for gate in Gate if gate in by_gate))


def with_checks(certificate: Certificate, checks: tuple[GateResult, ...]) -> Certificate:
    """`certificate` with the results of the gates, one per gate."""
    known = next((one for one in checks if one.gate is Gate.CLOSED_BOOK and one.asked is not None), None)
    ranks = {rank.document_id: rank for result in checks for rank in result.ranks}
    evidence = tuple(
        replace(one, rank_by_question=rank.question, rank_by_step=rank.step)
        if (rank := ranks.get(one.document_id))
        else one
        for one in certificate.evidence
    )
    recalled = None if known is None else wilson(known.right or 0, known.asked or 0)
    return replace(certificate, closed_book=recalled, checks=checks, evidence=evidence)


def answer_spans(text: str, answers: Iterable[str]) -> tuple[Span, ...]:
    """Spans of `text` with an answer as whole words, ignoring case, in order; the longest of overlapping ones."""
    found: list[Span] = []
    for answer in answers:
        parts = [re.escape(part) for part in answer.split()]
        if not parts or not words(answer):
            continue
        between = r"[^\w]+"
        pattern = re.compile(rf"(?<!\w){between.join(parts)}(?!\w)", re.IGNORECASE)
        found.extend(Span(*match.span()) for match in pattern.finditer(text))
    kept: list[Span] = []
    for span in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return tuple(kept)


def _evidence(passage: Passage, attempts: Sequence[Attempt], answers: Sequence[str]) -> EvidenceCertificate:
    best = [place for attempt in attempts if (place := _best(attempt, passage.document_id)) is not None]
    return EvidenceCertificate(
        passage_id=passage.id,
        document_id=passage.document_id,
        title=passage.title,
        rank_by_question=None,
        rank_by_step=None,
        rank_by_attempts=min(best, default=None),
        attempts_found=len(best),
        spans=answer_spans(passage.text, answers),
    )


def _best(attempt: Attempt, document_id: str) -> int | None:
    """The best rank at which a search of the attempt returned the document."""
    hits = (hit for turn in attempt.trajectory.turns if turn.query is not None for hit in turn.hits)
    return min((hit.rank for hit in hits if hit.passage.document_id == document_id), default=None)
