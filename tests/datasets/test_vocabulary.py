import pytest

from cqox.datasets import names_codes

CODES = """
    region Region2 marital_status_code prefecture_code store_id icd10 RACE jobCategory race_1 都道府県コード 都道府県
    診療科 業種 曜日 店舗ID 郵便番号 地域区分 居住地域2
    """
AMOUNTS = "age year region_gdp class_size n_stores visits 2020 年齢 世帯人数 店舗数 地域人口"


@pytest.mark.parametrize("name", CODES.split())
def test_a_name_of_what_people_number_says_that_whole_numbers_are_codes(name: str) -> None:
    assert names_codes(name)


@pytest.mark.parametrize("name", [*AMOUNTS.split(), ""])
def test_a_name_of_an_amount_does_not(name: str) -> None:
    assert not names_codes(name)
