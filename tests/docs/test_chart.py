"""The pages on Kubernetes say what the chart has."""

import re

import pytest
import yaml

from docs.chart import layers_table, values, written
from tests.deploy.chart.rendering import CHART, LEAST, MATRIX, ROOT, find, merged, render

PAGES = {"en": ROOT / "docs" / "kubernetes.md", "ja": ROOT / "docs" / "ja" / "kubernetes.md"}


@pytest.mark.parametrize("language", PAGES)
def test_the_tables_are_made_of_the_chart_and_of_the_layers(language: str) -> None:
    text = PAGES[language].read_text(encoding="utf-8")
    assert written(text, language) == text, "run: python docs/chart.py"
    assert layers_table(language) in text


def test_every_value_has_a_description_and_its_default() -> None:
    given = {path: (default, description) for path, default, description in values()}
    assert [path for path, (_, description) in given.items() if not description] == []

    def leaves(value: object, path: str) -> None:
        if path in given:
            assert yaml.safe_load(given[path][0]) == value
            return
        assert isinstance(value, dict), path
        for key, inner in value.items():
            leaves(inner, f"{path}.{key}" if path else key)

    leaves(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")), "")


@pytest.mark.parametrize("language", PAGES)
def test_the_values_for_a_team_are_rendered_as_they_stand(language: str) -> None:
    [block] = re.findall(r"```yaml\n(# team\.yaml\n.*?)```", PAGES[language].read_text(encoding="utf-8"), re.DOTALL)
    documents = render(merged(LEAST, yaml.safe_load(block)))
    assert find(documents, "Deployment", "cqox-engine")["spec"]["replicas"] == 3
    assert find(documents, "Ingress", "cqox-gateway")
    annotations = find(documents, "Ingress", "cqox-gateway")["metadata"]["annotations"]
    # As a proxy of a mesh: it neither tries again nor ends what the gateway has not ended.
    assert annotations["nginx.ingress.kubernetes.io/proxy-next-upstream"] == "off"
    assert float(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > 120


def test_the_page_counts_the_sets_of_values_that_are_rendered() -> None:
    assert len(MATRIX) == 16
    assert "for sixteen sets of values" in PAGES["en"].read_text(encoding="utf-8")
    assert "16 組の値" in PAGES["ja"].read_text(encoding="utf-8")
