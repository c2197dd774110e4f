import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from questwell.training.batch import collate
from questwell.types.trajectory import TokenView

IDS = st.lists(st.integers(2, 90), min_size=1, max_size=6)


@st.composite
def views(draw: st.DrawFn) -> TokenView:
    response = draw(IDS)
    mask = draw(st.lists(st.integers(0, 1), min_size=len(response), max_size=len(response)))
    return TokenView(tuple(draw(IDS)), tuple(response), tuple(mask), tuple(-float(ours) for ours in mask))


def found_ids(view: TokenView) -> tuple[int, ...]:
    return (*view.prompt_ids, *view.response_ids)


@given(st.lists(views(), min_size=1, max_size=5), st.data())
@settings(max_examples=50, deadline=None)
def test_every_token_is_where_its_mask_is(given: list[TokenView], data: st.DataObject) -> None:
    batch = collate(given, pad=0)
    rows = data.draw(st.lists(st.integers(0, len(given) - 1), min_size=1, max_size=4))
    for found, wanted in ((batch, given), (batch.rows(torch.tensor(rows)), [given[row] for row in rows])):
        assert len(found) == len(wanted)
        for row, view in enumerate(wanted):
            inside = found.attention[row].bool()
            assert tuple(found.ids[row][inside].tolist()) == (*view.prompt_ids, *view.response_ids)
            assert tuple(found.begun_together[row][: int(inside.sum())].tolist()) == found_ids(view)
            read = found.read_at[row][: len(view.response_ids)].tolist()
            assert [found_ids(view)[at + 1] for at in read] == list(view.response_ids)
            length = len(view.response_ids)
            assert tuple(found.response[row][:length].tolist()) == view.response_ids
            assert tuple(found.mask[row][:length].tolist()) == view.response_mask
            assert tuple(found.sampled_logp[row][:length].tolist()) == view.response_logprobs
            assert found.mask[row][length:].sum() == 0
        assert found.tokens == sum(len(view.prompt_ids) + len(view.response_ids) for view in wanted)
    part = batch.rows(torch.tensor(rows))
    assert part.mask.shape[1] == max(len(given[row].response_ids) for row in rows)  # no column for nobody


def test_a_trajectory_without_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="prompt and response"):
        collate([TokenView((1,), (), (), ())], pad=0)
