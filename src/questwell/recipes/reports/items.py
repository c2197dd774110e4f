"""The accepted items of a run."""

from pathlib import Path

from questwell.errors import StoreError
from questwell.recipes.runs.opening import config_of, info_of
from questwell.scoring.kinds import type_of
from questwell.store.reader import RunReader
from questwell.store.records import Play, PlayStatus, RunInfo
from questwell.types.dataset import AttemptSummary, Item, Usage
from questwell.types.game import Accepted


def items(folder: Path) -> list[Item]:
    """The accepted items of the run in `folder`, in the order of seeds."""
    with RunReader(folder) as run, run.snapshot():
        info = info_of(run)
        usage = run.usage_by_seed()
        accepted = [play for play in run.plays() if play.status is PlayStatus.ACCEPTED]
        return [_item(_accepted(run, play), info, usage.get(play.seed_id, Usage())) for play in accepted]


def _accepted(run: RunReader, play: Play) -> Accepted:
    outcome = run.outcome(play.index)
    if not isinstance(outcome, Accepted):
        raise StoreError(f"the run file is inconsistent: {play.seed_id} is accepted and has no accepted outcome")
    return outcome


def _item(outcome: Accepted, info: RunInfo, usage: Usage) -> Item:
    seed, last = outcome.seed, outcome.rounds[-1]
    proposal, verdict = last.proposal, last.verdict
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
    )
