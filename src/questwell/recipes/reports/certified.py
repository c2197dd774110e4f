"""The certificate of a played question, and its lines for terminals and pages."""

from collections.abc import Iterable, Iterator

from questwell.games.certificate import certify
from questwell.recipes.generate.gates_results import Checked
from questwell.recipes.rejudge.results import Rejudging, agreements
from questwell.types.certificate import Certificate, EvidenceCertificate
from questwell.types.game import Round
from questwell.types.gates import Gate
from questwell.types.measures import Proportion


def certified(last: Round, later: Checked | None, seed: str = "", judges: Iterable[Rejudging] = ()) -> Certificate:
    """Return the certificate of the question of `last`.

    Args:
        last: the last round.
        later: results of `questwell gates`; ignored if they are for another question.
        seed: id of the seed.
        judges: results of `questwell rejudge` for the run.
    """
    pair = (last.proposal.question, last.proposal.answer)
    further = later.results if later is not None and (later.question, later.answer) == pair else ()
    return certify(last, further, agreements(judges, seed, *pair))


def certificate_lines(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """Yield (name, value) for each line; the last line names what was never checked."""
    least = certificate.difficulty
    needs = "" if least is None else f", needs at least {least} search{'es' * (least != 1)}"
    yield "Solved", share(certificate.solve_rate) + needs
    yield from found_lines(certificate)
    if missing := unchecked(certificate):
        yield "Not checked", f"{', '.join(missing)} (questwell gates RUN checks them)"


def found_lines(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """Yield lines like `certificate_lines`, without the solver's attempts and without what was never checked."""
    if certificate.weak_solve_rate is not None:
        yield "Solved by the weak solver", share(certificate.weak_solve_rate)
    if certificate.closed_book is not None:
        yield "Without any passage", share(certificate.closed_book)
    for check in certificate.checks:
        yield f"Check {check.gate.value}", f"{check.outcome.value}: {check.reason}"
    for one in certificate.evidence:
        yield f"Evidence {one.title or one.passage_id}", evidence(one)
    for judge in certificate.judges:
        yield f"Judge {judge.judge}", f"agrees on {judge.agreed} of {judge.of} answers"
    if certificate.as_of:
        yield "Asks for", certificate.as_of


def unchecked(certificate: Certificate) -> list[str]:
    """Return the names of the gates that never ran."""
    asked = {check.gate for check in certificate.checks}
    return [gate.value for gate in Gate if gate not in asked]


def share(found: Proportion) -> str:
    """Format as `3 of 4 (30 to 95 %)`; without an interval if nothing was scored."""
    if found.low is None or found.high is None:
        return f"{found.count} of {found.of}"
    return f"{found.count} of {found.of} ({100 * found.low:.0f} to {100 * found.high:.0f} %)"


def evidence(one: EvidenceCertificate) -> str:
    """Say where the document was found, and where it contains the answer."""
    ranks = [
        f"rank {rank} {of}"
        for rank, of in (
            (one.rank_by_question, "by the question"),
            (one.rank_by_step, "by a step"),
            (one.rank_by_attempts, f"in the searches of {one.attempts_found} attempt{'s' * (one.attempts_found != 1)}"),
        )
        if rank is not None
    ]
    spans = ", ".join(f"{span.start}-{span.end}" for span in one.spans)
    return "; ".join((*(ranks or ["found by no search"]), *([f"answer at characters {spans}"] if spans else [])))
