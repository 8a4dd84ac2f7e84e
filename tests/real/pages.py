"""The blocks of a page of the book, and their output."""

import re

from programs import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


class Page:
    """A page of the guide. `addresses` are those that it names, with the real ones."""

    def __init__(self, name, **addresses):
        self.text = (ROOT / "docs/guide" / name).read_text()
        for port, address in addresses.items():
            self.text = self.text.replace(f"127.0.0.1:{port.removeprefix('at_')}", address)

    def blocks(self, language):
        """The blocks of a language, in their order."""
        return [text for found, text in BLOCK.findall(self.text) if found == language]

    def script(self, folder, program="python3"):
        """Writes the python blocks into files, and returns commands that run them and the bash
        blocks, in the order of the page. A line `@N` is before the output of each."""
        commands = []
        for number, (language, text) in enumerate(BLOCK.findall(self.text)):
            if language == "python":
                (folder / f"block{number}.py").write_text(text)
                text = f"{program} block{number}.py\n"
            if language in ("python", "bash"):
                commands.append(f"echo @{number}\n{text}")
        return "".join(commands)

    def check(self, printed):
        """Fails if a block did not print what the text block after it shows; `…` is anything."""
        outputs = re.split(r"^@(\d+)\n", printed, flags=re.M)
        outputs = dict(zip(map(int, outputs[1::2]), outputs[2::2], strict=True))
        found = BLOCK.findall(self.text)
        shown = [number for number, (language, _) in enumerate(found) if language == "text"]
        for number in shown:
            expected = ".*".join(map(re.escape, found[number][1].split("…")))
            assert re.fullmatch(expected, outputs[number - 1]), (found[number][1], outputs[number - 1])
        return shown
