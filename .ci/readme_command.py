"""Print one of the README's commands: the bash block that follows `<!-- command: NAME -->`.

Run it as `python .ci/readme_command.py NAME`, where NAME is `restore` or `test`.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def blocks(text: str) -> dict[str, str]:
    """Return the marked bash blocks of a Markdown text by name."""
    return dict(
        re.findall(r"^<!-- command: (\w+) -->\n+```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    commands = blocks(README.read_text(encoding="utf-8"))
    if sys.argv[1] not in commands:
        sys.exit(f"README.md has no command {sys.argv[1]!r}; its commands: {', '.join(commands) or 'none'}")
    print(commands[sys.argv[1]], end="")
