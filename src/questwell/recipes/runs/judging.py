"""Builds the judge of a run, in the same way for every recipe."""

from questwell.agents.judging import judge_opening
from questwell.agents.prompts import Prompts
from questwell.recipes.runs.agents import is_embedded
from questwell.recipes.runs.models import ModelConfig
from questwell.scoring.judge import Judge
from questwell.types.trajectory import Role


def make_judge(
    config: ModelConfig, prompts: Prompts, model: str, *, structured: bool | None = None, always: bool = False
) -> Judge:
    """Build the judge `model` with the options of its role.

    Args:
        config: the config with the role options.
        prompts: prompts of the run.
        model: as the user names it.
        structured: constrain replies with a JSON schema; None does so only for a model in this process.
        always: see `Judge`.
    """
    return Judge(
        judge_opening(prompts),
        structured=is_embedded(model) if structured is None else structured,
        max_tokens=config.judging_tokens(model),
        temperature=config.role(Role.JUDGE).temperature or 0.0,
        always=always,
    )
