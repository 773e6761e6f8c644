from cqox.encryption import DataKey, is_sealed


def test_a_data_key_does_not_show_its_secret() -> None:
    assert "secret" not in repr(DataKey(wrapped=b"w", plain=b"secret"))


def test_sealed_bytes_are_known_by_their_beginning() -> None:
    assert is_sealed(b"CQOXSEAL\0")
    assert not any(map(is_sealed, (b"", b"CQOXSEA", b"PAR1CQOXSEAL")))
