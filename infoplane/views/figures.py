"""The figures of the Explore view, empty: sources, glyphs and axes in pure Bokeh.

Every derived source is filled by the controller. Names of sources are the controller's vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bokeh.core.properties import value
from bokeh.models import (
    ColumnDataSource,
    CustomJSTickFormatter,
    Ellipse,
    FixedTicker,
    HoverTool,
    LinearAxis,
    MultiLine,
    Patches,
    Quad,
    Range1d,
    Scatter,
    Span,
    Text,
    Title,
)
from bokeh.plotting import figure

from infoplane.views.theme import FONT

STYLES = ("ok", "caution", "bad")
_WIDTH = {"ok": 3.0, "caution": 1.6, "bad": 1.4}
_DASH: dict[str, Any] = {"ok": "solid", "caution": "solid", "bad": [1, 4]}

_LINES = ("xs", "ys")
_COLOURED = ("xs", "ys", "color")

HOVER = """
<div style="font:12.5px/1.45 sans-serif;max-width:300px;padding:2px">
<b>@name</b> · @when<br>@xt<br>@yt<br><i>@verdict</i></div>"""


@dataclass(slots=True)
class Figures:
    """The figures with the models that the controller changes."""

    plane: figure
    compression: figure
    fitting: figure
    training: figure
    strip: figure
    sources: dict[str, ColumnDataSource] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)


def _source(sources: dict[str, ColumnDataSource], name: str, *columns: str) -> ColumnDataSource:
    sources[name] = ColumnDataSource({column: [] for column in columns}, name=name)
    return sources[name]


def _figure(**options: Any) -> figure:
    plot = figure(
        toolbar_location=None,
        tools="",
        sizing_mode="stretch_both",
        min_height=40,
        min_width=120,
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        output_backend="canvas",
        **options,
    )
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_label_text_font = FONT
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "13px"
        axis.major_label_text_font = FONT
        axis.major_label_text_font_size = "12px"
        axis.minor_tick_line_color = None
        axis.major_tick_in = 0
        axis.major_tick_out = 4
    plot.toolbar.logo = None
    return plot


def _title(text: str, *, strong: bool, standoff: int = 0) -> Title:
    return Title(
        text=text,
        text_font=FONT,
        text_font_size="15px" if strong else "12px",
        text_font_style="bold" if strong else "normal",
        text_line_height=1.0,
        standoff=standoff,
    )


def _titles(plot: figure, models: dict[str, Any], name: str, text: str, below: str) -> None:
    small, big = _title(below, strong=False, standoff=4), _title(text, strong=True, standoff=3)
    plot.add_layout(small, "above")
    plot.add_layout(big, "above")
    models[f"{name}_title"], models[f"{name}_subtitle"] = big, small


def _text(plot: figure, source: ColumnDataSource, size: str, **options: Any) -> Text:
    glyph = Text(
        x="x",
        y="y",
        text="text",
        text_font=value(FONT),
        text_font_size=value(size),
        **options,
    )
    plot.add_glyph(source, glyph)
    return glyph


def _trails(plot: figure, sources: dict[str, ColumnDataSource], name: str, scale: float) -> None:
    for style in STYLES:
        glyph = MultiLine(
            xs="xs",
            ys="ys",
            line_color="color",
            line_width=_WIDTH[style] * scale,
            line_dash=_DASH[style],
            line_join="round",
            line_cap="round",
        )
        plot.add_glyph(_source(sources, f"{name}_{style}", *_COLOURED), glyph)


def _plane(sources: dict[str, ColumnDataSource], models: dict[str, Any]) -> figure:
    plot = _figure(
        x_range=Range1d(0, 12),
        y_range=Range1d(0, 1.1),
        x_axis_label="I(X;T) [bits] → remembers input",
        y_axis_label="I(T;Y) [bits] → predicts label",
        name="plane",
    )
    _titles(plot, models, "plane", "Information plane", "one path per layer · colour = time")
    limit = Patches(xs="xs", ys="ys", fill_alpha=0.75, line_color=None)
    plot.add_glyph(_source(sources, "limit", *_LINES), limit)
    limit_line = MultiLine(xs="xs", ys="ys", line_width=1)
    plot.add_glyph(_source(sources, "limit_line", *_LINES), limit_line)
    bounds = MultiLine(xs="xs", ys="ys", line_dash=[6, 4], line_width=1.2)
    plot.add_glyph(_source(sources, "bounds", *_LINES), bounds)
    models["bounds_text"] = _text(
        plot,
        _source(sources, "bounds_text", "x", "y", "text", "align", "base", "dx", "dy"),
        "12px",
        text_align="align",
        text_baseline="base",
        x_offset="dx",
        y_offset="dy",
    )
    null = MultiLine(xs="xs", ys="ys", line_dash=[1, 4], line_width=1.6, line_cap="round")
    plot.add_glyph(_source(sources, "null", *_LINES), null)
    null_end = Scatter(x="x", y="y", marker="diamond", size=9, line_width=1.4)
    plot.add_glyph(_source(sources, "null_end", "x", "y"), null_end)
    models["null_text"] = _text(
        plot,
        _source(sources, "null_text", "x", "y", "text"),
        "11.5px",
        text_align="center",
        y_offset=-7,
        background_fill_alpha=0.7,
    )
    ghost = MultiLine(xs="xs", ys="ys", line_width=1.6, line_join="round")
    plot.add_glyph(_source(sources, "ghost", *_LINES), ghost)
    rival = MultiLine(xs="xs", ys="ys", line_color="color", line_width=1.3)
    plot.add_glyph(_source(sources, "rival", *_COLOURED), rival)
    iso = MultiLine(xs="xs", ys="ys", line_dash=[3, 3], line_width=1.1)
    plot.add_glyph(_source(sources, "iso", *_LINES), iso)
    _trails(plot, sources, "trail", 1.0)
    iso_dot = Scatter(x="x", y="y", size=7, fill_color="color", line_width=1.2)
    plot.add_glyph(_source(sources, "iso_dot", "x", "y", "color"), iso_dot)
    models["iso_text"] = _text(
        plot,
        _source(sources, "iso_text", "x", "y", "text", "align", "dx", "dy"),
        "11.5px",
        text_align="align",
        text_baseline="middle",
        x_offset="dx",
        y_offset="dy",
        background_fill_alpha=0.7,
    )
    models["rival_text"] = _text(
        plot,
        _source(sources, "rival_text", "x", "y", "text", "align", "dx"),
        "11.5px",
        text_align="align",
        text_baseline="middle",
        x_offset="dx",
        y_offset=4,
        background_fill_alpha=0.7,
    )
    ellipse = Ellipse(
        x="x", y="y", width="w", height="h", fill_color="color", fill_alpha=0.15, line_color="color"
    )
    plot.add_glyph(_source(sources, "ellipse", "x", "y", "w", "h", "color"), ellipse)
    hits = _source(sources, "hits", "x", "y", "name", "when", "xt", "yt", "verdict")
    hit = plot.add_glyph(hits, Scatter(x="x", y="y", size=9, fill_alpha=0, line_alpha=0))
    plot.add_tools(
        HoverTool(renderers=[hit], tooltips=HOVER, mode="mouse", attachment="horizontal")
    )
    lead = MultiLine(xs="xs", ys="ys", line_width=1)
    plot.add_glyph(_source(sources, "lead", *_LINES), lead)
    halo = Scatter(x="x", y="y", size=28, line_color=None)
    marker = _source(sources, "marker", "x", "y", "fill", "line", "dash", "ink", "text")
    plot.add_glyph(marker, halo)
    disc = Scatter(
        x="x",
        y="y",
        size=24,
        fill_color="fill",
        line_color="line",
        line_width=1.8,
        line_dash="dash",
    )
    plot.add_glyph(marker, disc)
    models["marker_text"] = _text(
        plot,
        marker,
        "11.5px",
        text_color="ink",
        text_align="center",
        text_baseline="middle",
        text_font_style="bold",
    )
    models |= {
        "bounds": bounds,
        "limit": limit,
        "limit_line": limit_line,
        "null": null,
        "null_end": null_end,
        "ghost": ghost,
        "iso": iso,
        "iso_dot": iso_dot,
        "halo": halo,
        "disc": disc,
        "lead": lead,
    }
    return plot


def _time_figure(
    sources: dict[str, ColumnDataSource],
    models: dict[str, Any],
    name: str,
    title: str,
    below: str,
    x_range: Range1d,
    ticker: FixedTicker,
) -> figure:
    plot = _figure(x_range=x_range, y_range=Range1d(0, 1), name=name)
    _titles(plot, models, name, title, below)
    plot.xaxis.visible = False
    plot.xgrid.ticker = ticker
    plot.yaxis.ticker.desired_num_ticks = 5
    cursor = Span(location=0, dimension="height", line_width=1.5)
    plot.add_layout(cursor)
    models[f"{name}_cursor"] = cursor
    return plot


def _curves(plot: figure, sources: dict[str, ColumnDataSource], models: dict[str, Any]) -> None:
    name = plot.name
    edges = {"left": "left", "right": "right", "bottom": "bottom", "top": "top"}
    cells = Quad(**edges, fill_color="color", line_color="color", line_width=0.7)
    plot.add_glyph(_source(sources, f"{name}_cells", *edges, "color"), cells)
    hatched = Quad(
        **edges, fill_alpha=0, line_color=None, hatch_pattern="right_diagonal_line",
        hatch_scale=6, hatch_weight=0.8,
    )  # fmt: skip
    plot.add_glyph(_source(sources, f"{name}_hatched", *edges), hatched)
    ceiling = MultiLine(xs="xs", ys="ys", line_dash=[6, 4], line_width=1)
    plot.add_glyph(_source(sources, f"{name}_bound", *_LINES), ceiling)
    if name == "fitting":
        area = Patches(xs="xs", ys="ys", fill_alpha=0.16, line_color=None)
        plot.add_glyph(_source(sources, "fitting_null", *_LINES), area)
        null = MultiLine(xs="xs", ys="ys", line_dash=[1, 4], line_width=1.4, line_cap="round")
        plot.add_glyph(_source(sources, "fitting_null_line", *_LINES), null)
        models |= {"fitting_null": area, "fitting_null_line": null}
    ghost = MultiLine(xs="xs", ys="ys", line_width=1.3)
    plot.add_glyph(_source(sources, f"{name}_ghost", *_LINES), ghost)
    band = Patches(xs="xs", ys="ys", fill_alpha=0.28, line_color=None)
    plot.add_glyph(_source(sources, f"{name}_band", *_LINES), band)
    _trails(plot, sources, name, 0.7)
    if name == "compression":
        for mark in ("peak", "onset"):
            models[mark] = Scatter(x="x", y="y", marker="inverted_triangle", size=8)
            plot.add_glyph(_source(sources, mark, "x", "y"), models[mark])
    if name == "fitting":
        models["fitted"] = Scatter(x="x", y="y", marker="triangle", size=8)
        plot.add_glyph(_source(sources, "fitted", "x", "y"), models["fitted"])
    lead = MultiLine(xs="xs", ys="ys", line_width=1)
    plot.add_glyph(_source(sources, f"{name}_lead", *_LINES), lead)
    dot = Scatter(x="x", y="y", size=6, line_width=1)
    plot.add_glyph(_source(sources, f"{name}_dot", "x", "y"), dot)
    models[f"{name}_text"] = _text(
        plot,
        _source(sources, f"{name}_text", "x", "y", "text"),
        "11.5px",
        text_baseline="middle",
        x_offset=13,
    )
    models |= {
        f"{name}_hatched": hatched,
        f"{name}_bound": ceiling,
        f"{name}_ghost": ghost,
        f"{name}_dot": dot,
        f"{name}_band": band,
        f"{name}_lead": lead,
    }


def _scalars(plot: figure, sources: dict[str, ColumnDataSource], models: dict[str, Any]) -> None:
    right = Range1d(0, 1.05)
    plot.extra_y_ranges = {"right": right}
    axis = LinearAxis(y_range_name="right", minor_tick_line_color=None, major_tick_in=0)
    axis.ticker.desired_num_ticks = 3
    axis.major_label_text_font = FONT
    axis.major_label_text_font_size = "12px"
    plot.add_layout(axis, "right")
    plot.yaxis[0].ticker.desired_num_ticks = 3
    for side in ("left", "right"):
        options = {"y_range_name": "right"} if side == "right" else {}
        for name, width in ((f"scalar_{side}_ghost", 1.3), (f"scalar_{side}", 1.8)):
            line = MultiLine(
                xs="xs", ys="ys", line_width=width, line_dash="dash", line_join="round"
            )
            plot.add_glyph(_source(sources, name, *_LINES, "dash"), line, **options)
            models[name] = line
    models["right_axis"], models["right_range"] = axis, right


def _strip(
    sources: dict[str, ColumnDataSource], models: dict[str, Any], x_range: Range1d
) -> figure:
    plot = _figure(
        x_range=x_range,
        y_range=Range1d(0, 1),
        x_axis_label="step, log scale · the strip is the colour legend",
        name="strip",
    )
    plot.xgrid.visible = plot.ygrid.visible = False
    plot.yaxis.visible = False
    plot.xaxis.axis_label_standoff = 2
    plot.xaxis.axis_label_text_font_size = "12px"
    quad = Quad(left="left", right="right", bottom=0, top=1, fill_color="color", line_color="color")
    plot.add_glyph(_source(sources, "shades", "left", "right", "color"), quad)
    cursor = Span(location=0, dimension="height", line_width=3)
    plot.add_layout(cursor)
    models["strip_cursor"] = cursor
    return plot


def build(boot: Mapping[str, Any]) -> Figures:
    """Build all figures; ``boot`` is what the formatter gets that wakes the controller."""
    sources: dict[str, ColumnDataSource] = {}
    models: dict[str, Any] = {}
    time, ticker = Range1d(0, 4), FixedTicker(ticks=[0])
    ticks = _source(sources, "ticks", "at", "text")
    plane = _plane(sources, models)
    compression = _time_figure(
        sources, models, "compression", "Compression", "I(X;T)", time, ticker
    )
    _curves(compression, sources, models)
    fitting = _time_figure(sources, models, "fitting", "Fitting", "I(T;Y)", time, ticker)
    _curves(fitting, sources, models)
    training = _time_figure(sources, models, "training", "Training", "", time, ticker)
    _scalars(training, sources, models)
    strip = _strip(sources, models, time)
    strip.xaxis.ticker = ticker
    strip.xaxis.formatter = CustomJSTickFormatter(args={"ticks_source": ticks, **boot}, code=_TICKS)
    for plot in (compression, fitting, training, strip):
        plot.min_border_left = 58
        plot.min_border_right = 46
    models |= {"time": time, "ticker": ticker}
    return Figures(plane, compression, fitting, training, strip, sources, models)


# A formatter is the one piece of script that Bokeh runs by itself on the first paint wherever a
# document is shown: server, notebook comm or file. It wakes the controller there, once.
_TICKS = """
if (!start.__awake) { start.__awake = true; setTimeout(() => start.execute(start), 0) }
const at = ticks_source.data.at
const i = at.findIndex((place) => Math.abs(place - tick) < 1e-6)
return i < 0 ? "" : ticks_source.data.text[i]
"""
