"""A run's measurements in the formats that others read: CSV, Parquet, netCDF, LaTeX, BibTeX."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infoplane.analysis.naming import quantities
from infoplane.analysis.trajectory import label_of, trajectories
from infoplane.errors import InfoplaneError, InputError
from infoplane.estimators import card
from infoplane.types import NATS_TO_BITS, Verdict

if TYPE_CHECKING:
    import xarray as xr

    from infoplane.store import Run

COLUMNS = (
    "run", "probe", "step", "epoch", "layer", "quantity", "target", "estimator", "params", "value",
    "stderr", "low", "high", "null", "null_q95", "ceiling", "unit", "n", "verdict", "reason",
)  # fmt: skip
_WORDS = {Verdict.OK: "ok", Verdict.CAUTION: "caution", Verdict.NOT_USABLE: "not usable"}
# A cell that a spreadsheet would run as a formula; layer names come from anywhere.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def tidy(run: Run) -> list[dict[str, Any]]:
    """Return one mapping a measurement, with the keys of ``COLUMNS``.

    ``value``, ``stderr``, ``low``, ``high``, ``null`` (mean of the null), ``null_q95`` and
    ``ceiling`` are in ``unit`` (nats for information), None where there is none.
    """
    epochs = run.scalars().get("epoch", {})
    order = {layer: i for i, layer in enumerate(run.layers)}
    rows = sorted(
        run.measurements(),
        key=lambda r: (r.step, order.get(r.layer, len(order)), r.estimator, r.target, r.key),
    )
    return [
        {
            "run": run.name, "probe": row.probe, "step": row.step, "epoch": epochs.get(row.step),
            "layer": row.layer, "quantity": str(row.quantity), "target": row.target,
            "estimator": row.estimator, "params": json.dumps(dict(row.params), sort_keys=True),
            "value": row.value, "stderr": row.stderr, "low": row.low, "high": row.high,
            "null": row.null.mean if row.null else None,
            "null_q95": row.null.q95 if row.null else None, "ceiling": row.ceiling,
            "unit": row.unit, "n": row.n, "verdict": _WORDS[row.verdict],
            "reason": row.reason or row.note,
        }
        for row in rows
    ]  # fmt: skip


def export(run: Run, path: str | os.PathLike[str]) -> Path:
    """Write the run's measurements to ``path``; the suffix chooses the format; return the path.

    ``.csv``, ``.json`` and ``.parquet`` hold the tidy rows, ``.nc`` the Dataset of
    :func:`~infoplane.trajectories`, ``.tex`` a table of the last step, ``.bib`` the references of
    the estimators used. The file appears whole or not at all.

    Raises
    ------
    InputError
        For another suffix, or ``.parquet`` without pyarrow.
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(
            f"the suffix of an export must be one of {', '.join(_WRITERS)}; got {path.name!r}."
        )
    content = writer(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _csv(run: Run) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in tidy(run))
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _json(run: Run) -> bytes:
    return json.dumps(tidy(run), indent=1, allow_nan=False, ensure_ascii=False).encode()


def _parquet(run: Run) -> bytes:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            "writing .parquet needs pyarrow: pip install 'infoplane[export]', or export .csv."
        ) from None
    rows = tidy(run)
    table = pyarrow.table({name: [row[name] for row in rows] for name in COLUMNS})
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def _netcdf(run: Run) -> bytes:
    return bytes(portable(trajectories(run)).to_netcdf(engine="scipy"))


def portable(ds: xr.Dataset) -> xr.Dataset:
    """Return the Dataset with attributes and texts that netCDF and zarr can hold."""
    ds = ds.copy()
    for name, variable in ds.variables.items():
        if variable.dtype == object:
            ds[name] = variable.astype(str) if variable.size else variable.astype("U1")
    ds.attrs = {
        name: json.dumps(value, default=str) if isinstance(value, (Mapping, bool)) else value
        for name, value in ds.attrs.items()
        if value is not None
    }
    return ds


def _latex(run: Run) -> bytes:
    """Table of the last step: a row a layer, two columns an estimator, verdicts as marks."""
    rows = [row for row in tidy(run) if row["quantity"] == "mi" and row["value"] is not None]
    last = max((row["step"] for row in rows), default=0)
    rows = [row for row in rows if row["step"] == last]
    labels = {
        (row["estimator"], row["params"]): label_of(row["estimator"], json.loads(row["params"]))
        for row in rows
    }
    columns = sorted({(labels[row["estimator"], row["params"]], row["target"]) for row in rows})
    cells = {
        (row["layer"], labels[row["estimator"], row["params"]], row["target"]): row for row in rows
    }
    marks = {"ok": "", "caution": "$^\\ast$", "not usable": "$^\\dagger$"}

    def cell(layer: str, column: tuple[str, str]) -> str:
        row = cells.get((layer, *column))
        if row is None:
            return "--"
        return f"{row['value'] * NATS_TO_BITS:.2f}{marks[row['verdict']]}"

    head = " & ".join(f"{_tex(label)} {_of(label, target)}" for label, target in columns)
    lines = [
        "% Estimates in bits; * caution, \\dagger not usable. Needs the package booktabs.",
        f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
        "\\toprule",
        f"layer & {head} \\\\",
        "\\midrule",
        *(
            f"{_tex(layer)} & {' & '.join(cell(layer, column) for column in columns)} \\\\"
            for layer in run.layers
            if any((layer, *column) in cells for column in columns)
        ),
        "\\bottomrule",
        "\\end{tabular}",
        f"% {_tex(run.name)}, step {last}",
        "",
    ]
    return "\n".join(lines).encode()


def _of(label: str, target: str) -> str:
    """Return what an estimator measured of a target, as mathematics."""
    if target not in ("X", "Y"):
        return f"$I(T;\\mathrm{{{_tex(target)}}})$"
    told = quantities(label)["XY".index(target)]
    words, *formula = re.split(r"(?<!\w)(?=I\()", told, maxsplit=1)
    for sign, word in _SIGNS.items():
        formula = [part.replace(sign, word) for part in formula]
    return _tex(words) + "".join(f"${part}$" for part in formula)


_SIGNS = {"bin": "\\mathrm{bin}", "ε": "\\varepsilon", "Ŷ": "\\hat{Y}", "Σ": "\\sum", "|": "\\mid"}


_TEX = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#",
    "%": "\\%", "_": "\\_", "^": "\\textasciicircum{}", "~": "\\textasciitilde{}",
}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in text if c.isprintable())


def _bibtex(run: Run) -> bytes:
    """One entry an estimator used; its note is the reference of the card, word by word."""
    entries = []
    for name in sorted({row.estimator for row in run.measurements()}):
        try:
            known = card(name)
        except InfoplaneError:
            continue  # measured by an estimator of another installation: nothing is known of it
        fields = {
            "title": f"{{{known.label}: {known.measures}}}",
            "note": known.reference.replace("&", "\\&"),
        }
        if found := re.search(r"arXiv:(\d{4}\.\d{4,5})", known.reference):
            fields |= {"eprint": found[1], "archiveprefix": "arXiv"}
        if found := re.search(r"doi:(10\.\S+?)(?=[\s,;)]|$)", known.reference):
            fields["doi"] = found[1]
        body = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items())
        entries.append(f"@misc{{{name},\n{body}\n}}\n")
    return "\n".join(entries).encode()


_WRITERS: Mapping[str, Callable[[Run], bytes]] = {
    ".csv": _csv, ".json": _json, ".parquet": _parquet, ".nc": _netcdf, ".tex": _latex,
    ".bib": _bibtex,
}  # fmt: skip
