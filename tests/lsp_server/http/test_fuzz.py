"""A short run of the fuzzer; ``python -m benchmarks.fuzz_http`` is the long one."""

from __future__ import annotations

import pytest

from benchmarks.fuzz_http import fuzz


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_every_input_gets_an_answer_that_the_description_allows() -> None:
    findings = fuzz(seed=1, scale=0.01)
    assert findings.failures == []
    assert findings.num_inputs.total() > 200
    assert findings.statuses[200] > 20
    assert findings.statuses[400] > 20
