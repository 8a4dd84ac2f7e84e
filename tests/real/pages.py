"""The blocks of a page of the book, and their output."""

import re

from programs import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


class Page:
    """A page of the guide, with other texts in the place of some of its own."""

    def __init__(self, name, replace=()):
        self.text = (ROOT / "docs/guide" / name).read_text()
        for own, other in dict(replace).items():
            self.text = self.text.replace(own, other)

    def blocks(self, language):
        """The blocks of a language, in their order."""
        return [text for found, text in BLOCK.findall(self.text) if found == language]

    def steps(self):
        """The bash and the python blocks, each with the output that the page shows. Python blocks
        continue the one before, unless a bash block is between or the first line names a file."""
        steps = []
        for language, text in BLOCK.findall(self.text):
            if language == "text":
                steps[-1][2].append(text)
            elif language == "python" and steps and steps[-1][0] == "python" and not text.startswith("# script:"):
                steps[-1][1].append(text)
            elif language in ("bash", "python"):
                steps.append((language, [text], []))
        return [(language, "".join(texts), "".join(shown)) for language, texts, shown in steps]

    def run(self, shell, **variables):
        """Runs the steps in one shell. Fails if one does, or does not print what the page shows;
        `…` is anything. Returns how many outputs were compared."""
        commands, expected = "", ""
        for number, (language, text, shown) in enumerate(self.steps()):
            if language == "python":
                (shell.folder / f"step{number}.py").write_text(text)
                text = f"python3 step{number}.py\n"
            commands += f"echo @{number}\n{text}"
            expected += f"@{number}\n{shown or '…'}"
        printed = shell.succeed(commands, **variables)
        pattern = ".*".join(map(re.escape, expected.split("…")))
        assert re.fullmatch(pattern, printed, re.S), f"{printed}\nis not\n{expected}"
        return len(self.blocks("text"))
