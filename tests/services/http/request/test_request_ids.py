import re

import pytest

from services.http.request.request_ids import request_id_from


@pytest.mark.parametrize("given", ["a", "alice-42", "A.b_c:d-1", "x" * 128])
def test_a_valid_id_of_the_client_is_kept(given: str) -> None:
    assert request_id_from(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "has space", "é", "a\n", "<script>"])
def test_any_other_is_replaced_by_a_random_one(given: str | None) -> None:
    first, second = request_id_from(given), request_id_from(given)
    assert first != second
    assert re.fullmatch("[0-9a-f]{32}", first)
