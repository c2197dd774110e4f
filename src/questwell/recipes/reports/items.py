"""The accepted items of a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from questwell.errors import StoreError
from questwell.games.certificate import certify, with_checks
from questwell.recipes.generate.candidates import each_once
from questwell.recipes.generate.gates_results import Checked, results_of
from questwell.recipes.generate.recheck import FOLDER as RECHECK
from questwell.recipes.rejudge.results import Rejudging, agreements, judges_of
from questwell.recipes.reports.reviewing import UNREVIEWED, Reviewed, ReviewState, reviews_by_seed
from questwell.recipes.runs.description import config_of, info_of
from questwell.scoring.kinds import type_of
from questwell.store.reader import FILE_NAME, RunReader
from questwell.store.records import Play, PlayStatus, RunInfo
from questwell.store.reviews import read_reviews
from questwell.types.dataset import AttemptSummary, Item
from questwell.types.game import Accepted, Reason
from questwell.types.gates import Gate
from questwell.types.review import Decision, pair_digest
from questwell.types.trajectory import Trajectory
from questwell.types.usage import Usage


class ReviewedBy(StrEnum):
    """Items that an export takes, by their reviews. Rejected ones are always left out."""

    ANY = "any"
    """Includes items that nobody has decided on."""
    ACCEPTED = "accepted"
    """Only items that a person accepted or edited."""


class Edited(StrEnum):
    """How to treat edited items, since the run's verdict was about another question."""

    RECHECKED = "rechecked"
    """Only edits that `questwell recheck` has tried and accepted."""
    AS_IS = "as-is"
    """All edits; they have no attempts."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How an export treats reviews."""

    reviewed: ReviewedBy = ReviewedBy.ANY
    edited: Edited = Edited.RECHECKED


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item that its reviews keep out."""

    id: str
    reason: str
    """`rejected`, `not reviewed`, `edited, not rechecked`, `edited, failed the recheck`, `stale review`."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An item, and the attempts that solved it."""

    item: Item
    solutions: tuple[Trajectory, ...]


def items(folder: Path, policy: Policy | None = None) -> list[Item]:
    """Return the accepted items of the run in `folder`, in the order of seeds, filtered by their reviews."""
    return list(each_item(folder, policy))


def each_item(folder: Path, policy: Policy | None = None) -> Iterator[Item]:
    """Yield what `items` returns, with only one in memory."""
    return (one.item for one in each(folder, policy) if isinstance(one, Chosen))


def each(folder: Path, policy: Policy | None = None) -> Iterator[Chosen | LeftOut]:
    """Yield exported and excluded items in the order of seeds, with only one in memory.

    All exports apply reviews here. An edit that passed its recheck can also turn a rejected play into an item.
    """
    policy = policy or Policy()
    reviews = reviews_by_seed(folder)
    checked = _checked(folder) if any(one.state is ReviewState.EDITED for one in reviews.values()) else {}
    further, judges = results_of(folder), judges_of(folder)
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run)
        for play in run.each_play():
            known = reviews.get(play.seed_id, UNREVIEWED)
            edited = known.state is ReviewState.EDITED
            if play.status is not PlayStatus.ACCEPTED and not edited:
                continue
            if known.decision and known.decision.digest != pair_digest(play.question or "", play.answer or ""):
                known = replace(known, state=ReviewState.STALE)
            found = _judged(run, play, known, policy, checked, info, run.usage_of(play.seed_id))
            if isinstance(found, Chosen) and (later := further.get(play.seed_id)) is not None:
                found = replace(found, item=_with_gates(found.item, later))
            if isinstance(found, Chosen) and judges:
                found = replace(found, item=_with_judges(found.item, play.seed_id, judges))
            if isinstance(found, str):
                yield LeftOut(f"{info.run_id}-{play.seed_id}", found)
            elif found is not None:
                yield found


def _judged(
    run: RunReader,
    play: Play,
    known: Reviewed,
    policy: Policy,
    checked: Mapping[tuple[str, str], Accepted | None],
    info: RunInfo,
    usage: Usage,
) -> Chosen | str | None:
    """Return the item of a play, or why it is left out; None if it never was an item."""
    by = (known.decision.reviewer,) if known.decision else ()
    match known.state:
        case ReviewState.REJECTED:
            return "rejected"
        case ReviewState.STALE if policy.reviewed is ReviewedBy.ACCEPTED:
            return "stale review"
        case ReviewState.NONE if policy.reviewed is ReviewedBy.ACCEPTED:
            return "not reviewed"
        case ReviewState.EDITED:
            assert known.decision is not None
            edit = known.decision
            key = (play.seed_id, pair_digest(edit.question, edit.answer, edit.aliases))
            if (again := checked.get(key)) is not None:
                item = _as_derived(_item(replace(again, seed=run.seed(play.index)), info, usage), play)
                return Chosen(replace(item, review="edited, rechecked", reviewers=by), _solutions(again))
            if policy.edited is Edited.RECHECKED:
                return "edited, failed the recheck" if key in checked else "edited, not rechecked"
            if play.status is not PlayStatus.ACCEPTED:
                return None
            item = _item(_accepted(run, play), info, usage)
            words = {"question": edit.question, "answer": edit.answer, "aliases": edit.aliases}
            voided = replace(item, **words, attempts=(), right=0, scored=0, gates=(), certificate=None)
            voided = _as_derived(voided, play)
            return Chosen(replace(voided, review="edited, not rechecked", reviewers=by), ())
        case _:
            outcome = _accepted(run, play)
            review = "accepted" if known.state is ReviewState.ACCEPTED else ""
            item = replace(_item(outcome, info, usage), review=review, reviewers=by if review else ())
            return Chosen(item, _solutions(outcome))


def _as_derived(item: Item, play: Play) -> Item:
    """Return an edited item; drops the derivation if the answer has changed."""
    return item if item.answer == play.answer else replace(item, derivation=None)


def _with_gates(item: Item, later: Checked) -> Item:
    """Return the item with results of `questwell gates`, unless its question has changed since."""
    if (item.question, item.answer) != (later.question, later.answer) or item.certificate is None:
        return item
    by_gate = {result.gate: result for result in (*item.gates, *later.results)}
    gates = tuple(by_gate[gate] for gate in Gate if gate in by_gate)
    return replace(item, gates=gates, certificate=with_checks(item.certificate, gates))


def _with_judges(item: Item, seed: str, judges: Sequence[Rejudging]) -> Item:
    """Return the item with the agreement of the judges of `questwell rejudge`, unless its question has changed."""
    if item.certificate is None:
        return item
    agreed = agreements(judges, seed, item.question, item.answer)
    return replace(item, certificate=replace(item.certificate, judges=agreed))


def _checked(folder: Path) -> dict[tuple[str, str], Accepted | None]:
    """Return the recheck results of the run's edits, by seed and pair; None means tried but not accepted."""
    if not (folder / RECHECK / FILE_NAME).is_file():
        return {}
    edits = each_once([entry for entry in read_reviews(folder) if entry.decision is Decision.EDIT])
    found: dict[tuple[str, str], Accepted | None] = {}
    with RunReader(folder / RECHECK) as run, run.snapshot():
        for play in run.plays():
            outcome = run.outcome(play.index)
            if outcome is None or play.index >= len(edits) or not outcome.rounds or play.reason is Reason.ERRORED:
                continue
            pair = outcome.rounds[-1].proposal
            key = (edits[play.index].seed, pair_digest(pair.question, pair.answer, pair.aliases))
            found[key] = outcome if isinstance(outcome, Accepted) else None
    return found


def _solutions(outcome: Accepted) -> tuple[Trajectory, ...]:
    return tuple(attempt.trajectory for attempt in outcome.rounds[-1].attempts if attempt.right)


def _accepted(run: RunReader, play: Play) -> Accepted:
    outcome = run.outcome(play.index)
    if not isinstance(outcome, Accepted):
        raise StoreError(f"the run file is inconsistent: {play.seed_id} is accepted and has no accepted outcome")
    return outcome


def _item(outcome: Accepted, info: RunInfo, usage: Usage) -> Item:
    seed, last = outcome.seed, outcome.rounds[-1]
    proposal, verdict = last.proposal, last.verdict
    hardened = info.kind == "harden"
    if verdict.difficulty is None or verdict.solve_rate is None:
        raise StoreError(f"the run file is inconsistent: {seed.id} is accepted and was never solved")
    return Item(
        id=f"{info.run_id}-{seed.id}",
        question=proposal.question,
        answer=proposal.answer,
        aliases=proposal.aliases,
        answer_type=type_of(proposal.answer, seed.answer_type),
        target_steps=seed.target,
        difficulty=verdict.difficulty,
        solve_rate=verdict.solve_rate,
        right=verdict.right,
        scored=verdict.scored,
        round=last.index,
        style=proposal.trajectory.style,
        seed_passage_id=seed.passage.id,
        evidence_ids=tuple(passage.id for passage in proposal.evidence),
        evidence_document_ids=tuple(passage.document_id for passage in proposal.evidence),
        evidence_titles=tuple(passage.title for passage in proposal.evidence),
        evidence_texts=tuple(passage.text for passage in proposal.evidence),
        steps=proposal.steps,
        attempts=tuple(
            AttemptSummary(attempt.judgement.label, attempt.trajectory.searches, attempt.trajectory.answer)
            for attempt in last.attempts
        ),
        licences=tuple(dict.fromkeys(passage.licence for passage in proposal.evidence if passage.licence)),
        corpus=Path(str(config_of(info)["corpus"])).name,
        index_snapshot=info.fingerprint["index snapshot"],
        proposer_model=info.fingerprint["proposer model"],
        solver_model=info.fingerprint["solver model"],
        judge_model=info.fingerprint["judge model"],
        prompts=info.fingerprint["prompts"],
        run_id=info.run_id,
        usage=usage,
        gates=last.gates,
        given_id=seed.passage.id if hardened else "",
        given_question=outcome.rounds[0].proposal.question if hardened else "",
        certificate=certify(last),
        derivation=proposal.derivation,
        kind=seed.kind.value if seed.kind else "",
        retriever=retriever_of(info),
    )


def retriever_of(info: RunInfo) -> str:
    """Return the name of what a run's agents searched. Runs do not store it for a lexical index."""
    corpus = Path(str(config_of(info)["corpus"])).name
    return info.fingerprint.get("retriever") or f"{corpus}@{info.fingerprint['index snapshot']}/bm25"
