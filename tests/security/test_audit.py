"""The chain of an audit log: what it holds, and what a change of it is found by."""

import json
from dataclasses import replace

import pytest

from cqox.security import (
    FIRST_PREVIOUS,
    AuditEntry,
    AuditEvent,
    ChainBroken,
    InvalidEntry,
    chained,
    head_of,
    line_of,
    parse_head,
    parse_line,
    verified_chain,
)


def an_event(number: int, tenant: str = "acme") -> AuditEvent:
    return AuditEvent(
        event_id=f"{number:032x}",
        at=f"2026-01-01T00:00:{number:02d}.000000+00:00",
        tenant=tenant,
        subject="key:4f0c",
        kind="key",
        action="read_dataset",
        object="dataset:d",
        outcome="done",
        request_id="r",
    )


def a_chain(length: int = 6) -> list[AuditEntry]:
    entries = list[AuditEntry]()
    for number in range(length):
        entries.append(chained(an_event(number), entries[-1] if entries else None))
    return entries


def test_a_chain_is_numbered_from_one_and_each_entry_names_its_predecessor() -> None:
    entries = a_chain()
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.previous for entry in entries] == [FIRST_PREVIOUS, *(entry.digest for entry in entries[:-1])]
    assert verified_chain("acme", entries) == head_of("acme", entries[-1])
    assert verified_chain("acme", []) == head_of("acme", None)


def test_a_line_is_canonical_json_and_is_read_back() -> None:
    entry = chained(replace(an_event(1), subject="名前"), None)
    line = line_of(entry)
    assert parse_line(line) == entry
    assert line == json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"))
    assert "\n" not in line


def test_the_digest_is_that_of_the_documented_form() -> None:
    # Computed with `printf … | sha256sum`, so that another program can check a chain.
    entry = chained(an_event(0), None)
    assert entry.digest == "eadbca53c899b5a201a17f2d135da5a3d9bd9a9257929c4941aaa53d9f558e19"


@pytest.mark.parametrize(
    "member", ["event_id", "at", "tenant", "subject", "kind", "action", "object", "request_id", "previous", "digest"]
)
def test_one_altered_member_is_found_at_its_entry(member: str) -> None:
    entries = a_chain()
    entries[3] = replace(entries[3], **{member: "0" + getattr(entries[3], member)[1:] + "x"})
    with pytest.raises(ChainBroken) as broken:
        verified_chain("acme", entries)
    assert (broken.value.tenant, broken.value.seq, broken.value.how) == ("acme", 4, "altered")


def test_an_altered_outcome_is_found_also_where_its_digest_is_written_again() -> None:
    entries = a_chain()
    entries[2] = chained(replace(an_event(2), outcome="failed"), entries[1])
    with pytest.raises(ChainBroken) as broken:
        verified_chain("acme", entries)
    assert (broken.value.seq, broken.value.how) == (4, "altered")


@pytest.mark.parametrize("gone", range(5))
def test_a_removed_entry_is_found_by_its_number(gone: int) -> None:
    entries = a_chain()
    del entries[gone]
    with pytest.raises(ChainBroken) as broken:
        verified_chain("acme", entries)
    assert (broken.value.seq, broken.value.how) == (gone + 1, "removed")


def test_reordered_and_repeated_entries_are_found() -> None:
    entries = a_chain()
    for changed, expected in (
        ([entries[1], entries[0], *entries[2:]], (1, "removed")),
        ([*entries[:3], entries[1], *entries[3:]], (2, "reordered")),
        ([*entries, entries[5]], (6, "reordered")),
    ):
        with pytest.raises(ChainBroken) as broken:
            verified_chain("acme", changed)
        assert (broken.value.seq, broken.value.how) == expected


def test_a_tail_that_was_cut_off_is_found_by_a_noted_head_alone() -> None:
    entries = a_chain()
    head = parse_head(str(head_of("acme", entries[-1])))
    assert verified_chain("acme", entries, [head]) == head
    assert verified_chain("acme", entries[:4]).seq == 4
    with pytest.raises(ChainBroken) as broken:
        verified_chain("acme", entries[:4], [head])
    assert (broken.value.seq, broken.value.how) == (5, "cut off")


def test_a_chain_that_was_written_again_is_found_by_a_noted_head() -> None:
    head = head_of("acme", a_chain(4)[-1])
    again = [chained(replace(an_event(0), subject="key:other"), None)]
    for number in range(1, 6):
        again.append(chained(an_event(number), again[-1]))
    assert verified_chain("acme", again).seq == 6
    with pytest.raises(ChainBroken) as broken:
        verified_chain("acme", again, [head])
    assert (broken.value.seq, broken.value.how) == (4, "altered")


def test_heads_of_other_tenants_and_of_empty_chains_say_nothing() -> None:
    entries = a_chain()
    assert verified_chain("acme", entries, [head_of("acme", None), head_of("other", entries[-1])]).seq == 6


def test_an_entry_of_another_tenant_is_an_altered_one() -> None:
    with pytest.raises(ChainBroken):
        verified_chain("acme", [chained(an_event(0, "other"), None)])


@pytest.mark.parametrize("text", ["", "acme", "acme/1", "acme/x:" + "0" * 64, "/1:" + "0" * 64, "acme/1:00"])
def test_a_head_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidEntry):
        parse_head(text)


def test_a_line_in_another_form_is_refused() -> None:
    line = line_of(a_chain(1)[0])
    for wrong in (
        "",
        "[]",
        "{}",
        line[:-1],
        line.replace('"seq":1', '"seq":true'),
        line.replace('"seq":1', '"seq":"1"'),
        line.replace('"done"', '"perhaps"'),
        line.replace('"seq":1', '"seq":1,"seq":1'),
        line.replace('"seq":1', '"seq":1,"more":1'),
    ):
        with pytest.raises(InvalidEntry):
            parse_line(wrong)
