"""Reads a Grafana dashboard into the types of Grafana's own SDK and writes it again. Prints the keys that
did not come back: those that no type has. Runs in the lab's environment `grafana`."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before, after, path):
    """The paths of what is in the first document, and not, or with another value, in the second."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{path}[{place}]")
    elif before != after and before not in ([], {}):
        yield f"{path}: {before!r} is now {after!r}"


register_default_plugins()
document = json.load(open(sys.argv[1]))
dashboard = Dashboard.from_json(document)
again = json.loads(JSONEncoder(sort_keys=True).encode(dashboard))
print("\n".join(lost(document, again, "")), end="")
