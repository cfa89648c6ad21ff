"""``run.json``: what a run is, apart from what happened in it.

Identity, format, name, configuration, layer table and probe sets; replaced as a whole, atomically.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infoplane.errors import CorruptRunError, FormatError, InputError, NotARunError, StoreError
from infoplane.store import codec, files
from infoplane.types import Layer

FILE = "run.json"
FORMAT = (1, 0)
"""(major, minor): readers refuse a newer major and ignore what a newer minor adds."""
LAYER_CAP = 10_000
_CAP = 8 << 20
_UUID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """A probe set as ``run.json`` tells it: name, target, digest, samples n and H(Y) in nats."""

    name: str
    target: str
    digest: str
    n: int
    label_entropy: float | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Content of ``run.json``. A layer's id is its place in `layers`; ids never change meaning."""

    uuid: str
    name: str
    created: str
    config: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    probes: tuple[ProbeRow, ...] = ()
    software: str = ""

    def with_layers(self, layers: tuple[Layer, ...]) -> Header:
        """Add rows for the layers that the table does not have yet."""
        known = set(self.layers)
        return replace(
            self, layers=(*self.layers, *(layer for layer in layers if layer not in known))
        )

    def ids(self) -> dict[str, int]:
        """Map each layer name to its id; the newest row when a layer has changed its shape."""
        return {layer.name: index for index, layer in enumerate(self.layers)}


def write(root: Path, header: Header) -> None:
    """Put ``run.json`` in place durably."""
    content = {
        "format": {"major": FORMAT[0], "minor": FORMAT[1]},
        "uuid": header.uuid,
        "name": header.name,
        "created": header.created,
        "software": header.software,
        "config": header.config,
        "probes": [
            {name: getattr(row, name) for name in ProbeRow.__slots__} for row in header.probes
        ],
        "layers": [codec.encode_layer(layer) for layer in header.layers],
    }
    data = codec.dumps(content)
    try:
        _decode(codec.loads(data), root / FILE)
    except CorruptRunError as error:  # what cannot be read back is not written
        raise InputError(f"This cannot be kept in {FILE}: {error} Shorten it.") from error
    if len(data) > _CAP or len(header.layers) > LAYER_CAP:
        raise StoreError(
            f"{FILE} must have at most {_CAP:,} bytes and {LAYER_CAP:,} layers; got {len(data):,} "
            f"and {len(header.layers):,}. Shorten `config` or watch fewer layers."
        )
    with files.reported("write", root / FILE):
        files.write_durably(root / FILE, data)


def read(root: Path) -> Header:
    """Read and check ``run.json``.

    Raises
    ------
    NotARunError
        If there is none.
    FormatError
        If a newer infoplane wrote it in a format this one cannot read.
    CorruptRunError
        If it is damaged or foreign.
    """
    path = root / FILE
    try:
        data = files.read_all(path, _CAP)
    except (FileNotFoundError, NotADirectoryError):
        raise NotARunError(
            f"{str(root)!r} holds no run: there is no {FILE}. "
            "Give the folder that was recorded into."
        ) from None
    except OSError as error:
        raise StoreError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
    try:
        return _decode(codec.loads(data), path)
    except CorruptRunError as error:
        raise CorruptRunError(f"{str(path)!r} is damaged or not ours: {error}") from error


def _decode(content: dict[str, Any], path: Path) -> Header:
    form = codec.mapping(content, "format")
    major, minor = codec.integer(form, "major"), codec.integer(form, "minor")
    if major > FORMAT[0]:
        raise FormatError(
            f"{str(path)!r} is in format {major}.{minor}; this infoplane reads up to "
            f"{FORMAT[0]}.x. Upgrade infoplane to read it."
        )
    uuid = codec.text(content, "uuid")
    if not _UUID.fullmatch(uuid):
        raise CorruptRunError(f"`uuid` must be 32 hex digits; got {uuid[:80]!r}.")
    return Header(
        uuid=uuid,
        name=codec.text(content, "name"),
        created=codec.text(content, "created"),
        config=codec.mapping(content, "config"),
        layers=tuple(map(codec.decode_layer, codec.items(content, "layers", LAYER_CAP))),
        probes=tuple(map(_decode_probe, codec.items(content, "probes", 1000))),
        software=codec.text(content, "software") if "software" in content else "",
    )


def _decode_probe(row: Any) -> ProbeRow:
    if type(row) is not dict:
        raise CorruptRunError("`probes` must hold objects.")
    entropy = row.get("label_entropy")
    return ProbeRow(
        name=codec.text(row, "name"),
        target=codec.text(row, "target"),
        digest=codec.text(row, "digest"),
        n=codec.integer(row, "n"),
        label_entropy=None if entropy is None else codec.number(entropy, "label_entropy"),
    )
