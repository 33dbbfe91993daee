"""Read YAML in which every value is a text: no aliases, no tags, no keys that stand twice."""

from __future__ import annotations

from typing import Any

import yaml

from pnpvideo.errors import OptionError, printable


class _Texts(yaml.BaseLoader):  # type: ignore[misc]  # PyYAML has no types
    """A loader that leaves all scalars as they are written, so that ``10:25``, ``no`` and ``1e3`` keep their letters.

    Anchors and aliases are refused: a small file of aliases to aliases unfolds to more than a machine holds.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise OptionError(f"line {line} has an anchor or an alias (& or *), which are not read; put it in quotes")
        if getattr(event, "tag", None) is not None:
            raise OptionError(f"line {line} has a tag (!), which is not read; put it in quotes")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = set[str]()
        for key, _ in node.value:
            name = str(key.value)
            if name in names:
                raise OptionError(f"line {key.start_mark.line + 1}: {printable(name)!r} stands twice")
            names.add(name)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def read_yaml(text: str) -> Any:
    """Dicts, lists and texts. Raises OptionError for what is no YAML, or more than this reads."""
    try:
        loader = _Texts(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise OptionError(f"it is no YAML: {printable(' '.join(str(error).split()))}") from error
