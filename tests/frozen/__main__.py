import json

from tests.frozen.collect import FILES, FOLDER


def lines(value: object) -> str:
    """JSON with a line for each member of the outermost object, or for each element."""
    if isinstance(value, dict):
        members = [f"{json.dumps(key)}: {_compact(value[key])}" for key in sorted(value)]
        return "{\n" + ",\n".join(members) + "\n}\n"
    assert isinstance(value, list)
    return "[\n" + ",\n".join(map(_compact, value)) + "\n]\n"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


for stem, collect in FILES.items():
    text = lines(collect())
    (FOLDER / f"{stem}.json").write_text(text, encoding="utf-8")
    print(f"{stem}.json: {len(text):,} characters")
