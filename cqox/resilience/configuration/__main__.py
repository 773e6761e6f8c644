"""Write the schema of policy files, or check files: `python -m cqox.resilience.configuration [FILE ...]`."""

import json
import sys
from pathlib import Path

from cqox.resilience.configuration.problems import PolicyFileInvalid
from cqox.resilience.configuration.reading import read_policy_file
from cqox.resilience.configuration.schema import policy_file_schema


def main(paths: list[str]) -> int:
    """Write the schema to the standard output, or the problems of the files; return the exit status."""
    if not paths:
        sys.stdout.write(json.dumps(policy_file_schema(), indent=2, ensure_ascii=False) + "\n")
        return 0
    status = 0
    for path in paths:
        try:
            read_policy_file(Path(path))
        except (PolicyFileInvalid, OSError) as error:
            sys.stderr.write(f"{error}\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
