"""What is computed beyond an edit, on tokens that are single characters."""

from __future__ import annotations

from kvedit.plan import plan_patch
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary, repaired

SENTINEL = 1
VOCABULARY = Vocabulary(
    lambda token_id: b"" if token_id == SENTINEL else chr(token_id).encode(), frozenset({SENTINEL})
)


def computed(old: str, new: str, policy: PatchPolicy) -> str:
    """Return the new text with dots in place of what is kept."""
    old_ids, new_ids = list(map(ord, old)), list(map(ord, new))
    plan = repaired(plan_patch(old_ids, new_ids, num_fixed=0), old_ids, new_ids, policy, VOCABULARY)
    found = {at for part in plan.computed for at in part}
    return "".join(char if at in found else "." for at, char in enumerate(new))


ABOVE = "import os\n\nlimit = 10\nprint(os.name)\n"
BELOW = "def use():\n    return limit + 1\n"


def test_rotation_computes_what_is_new_and_the_last_token() -> None:
    policy = PatchPolicy(PatchMode.ROTATE)
    new = ABOVE + "x = 3\n" + BELOW
    assert computed(ABOVE + BELOW, new, policy) == "." * len(ABOVE) + "x = 3\n" + "." * 31 + "\n"


def test_what_stands_directly_behind_an_edit_is_computed_too() -> None:
    policy = PatchPolicy(PatchMode.SENTINELS)
    old, new = ABOVE + BELOW, ABOVE + "x = 3\n" + BELOW
    assert computed(old, new, policy).strip(".") == "x = 3\nd" + "." * 30 + "\n"


def test_a_window_goes_on_to_the_end_of_its_statement() -> None:
    policy = PatchPolicy(PatchMode.WINDOW, window=8)
    old, new = ABOVE + BELOW, ABOVE + "x = 3\n" + BELOW
    assert computed(old, new, policy).strip(".") == "x = 3\ndef use():\n" + "." * 20 + "\n"


def test_a_statement_without_an_end_does_not_stretch_a_window() -> None:
    policy = PatchPolicy(PatchMode.WINDOW, window=4)
    call = "call(" + "a, " * 40
    assert computed(call, "x" + call, policy).strip(".") == "xcall" + "." * 120 + " "


def test_many_edits_share_the_windows() -> None:
    policy = PatchPolicy(PatchMode.WINDOW, window=16, max_num_window=24)
    old = "".join(f"line {number:03d} of the text\n" for number in range(40))
    new = old.replace("00 of", "00 off").replace("10 of", "10 off").replace("20 of", "20 off")
    new = new.replace("30 of", "30 off")
    found = computed(old, new, policy).replace(".", "")
    assert len(found) <= 4 + 24 + 4 + 1  # new, windows, directly behind an edit, last


def test_later_uses_of_an_edited_name_are_computed() -> None:
    policy = PatchPolicy(PatchMode.IDENTIFIERS, window=0, max_num_window=0)
    old = ABOVE + "other = 5\n" * 5 + BELOW
    new = old.replace("limit = 10", "limit = 11")
    kept = computed(old, new, policy)
    assert kept[new.index("return limit") + 7 :][:5] == "limit"
    assert "other" not in kept


def test_nothing_is_repaired_where_nothing_changed() -> None:
    policy = PatchPolicy(PatchMode.IDENTIFIERS)
    assert computed(ABOVE, ABOVE, policy) == "." * (len(ABOVE) - 1) + "\n"
    assert computed(ABOVE, ABOVE + BELOW, policy).strip(".") == BELOW
