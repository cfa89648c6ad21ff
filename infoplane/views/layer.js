// The pictures of one layer at one step, on the page and in a report: activations over training,
// spectrum, bin occupancy, classes. Text from a run becomes text nodes only.
"use strict"
window.infoplaneLayer = (() => {
  const ACCENT = "stroke:var(--ip-accent);stroke-dasharray:none;stroke-width:2"
  const {plot, percent, TINTS} = infoplaneCharts
  const u = (v) => Math.log10(1 + v)

  function numbers(f) {  // rows of a definition list
    return [
      ["step", f.step.toLocaleString("en"), `${f.n.toLocaleString("en")} samples`],
      ["effective rank", f.rank.toFixed(1), `of ${f.d}`],
      ["dead units", String(f.dead), `of ${f.looked_at[1]}`],
      ["at its extremes", percent(f.extreme), "of values"],
      ["alone in a cell", percent(f.single), "of samples"],
    ].map(([name, value, of]) => {
      const [row, dt, dd, small] = ["div", "dt", "dd", "small"].map((tag) => document.createElement(tag))
      dt.textContent = name; dd.textContent = `${value} `; small.textContent = of
      dd.append(small); row.append(dt, dd)
      return row
    })
  }

  function history(host, past, step) {
    const s = past.steps, size = past.density[0].length, height = (past.high - past.low) / size
    const edge = (i) => i <= 0 ? s[0] : i >= s.length ? s.at(-1) + Math.max(1, 0.06 * s.at(-1)) : 10 ** ((u(s[i - 1]) + u(s[i])) / 2) - 1
    const top = Math.max(...past.density.flat())
    const cells = s.flatMap((_, i) => past.density[i].map((v, j) => ({x0: edge(i), x1: edge(i + 1), y0: past.low + j * height, y1: past.low + (j + 1) * height, v: Math.sqrt(v / top)})).filter((c) => c.v > 0.02))
    plot(host, {x: {scale: "step", label: "step", low: 0}, y: {label: "activation", low: past.low, high: past.high}, says: "activations of the layer over training", marks: [{kind: "cells", cells}, {kind: "rule", x: step, inside: false, style: ACCENT}]})
  }

  function draw(figures, answer, past) {
    const at = (name) => figures.querySelector(`[data-figure=${name}]`), {facts} = answer
    if (past?.steps.length) history(at("history"), past, facts.step)
    const places = (list) => ({scale: "whole", low: 0.4, high: Math.max(list.length, 2) + 0.6})
    const bars = (list) => ({kind: "bars", x: list.map((_, i) => i + 1), y: list})
    plot(at("spectrum"), {x: {label: "principal direction", ...places(answer.spectrum)}, y: {label: "share of variance", low: 0, high: Math.max(answer.spectrum[0], 0.5) * 1.06}, says: "spectrum", marks: [bars(answer.spectrum), {kind: "rule", x: facts.rank, style: ACCENT}]})
    plot(at("cells"), {x: {label: `cell, fullest first; ${facts.cells.toLocaleString("en")} in use`, ...places(answer.cells)}, y: {label: "samples", low: 0}, says: "samples in each cell", marks: [bars(answer.cells)]})
    const {x, y, label = x.map(() => 0), names = [], means = []} = answer.map
    const colour = (c) => names.length ? TINTS[c % TINTS.length] : "var(--ip-muted)"
    const groups = [...new Set(label)].map((c) => ({kind: "dots", r: 1.9, x: x.filter((_, i) => label[i] === c), y: y.filter((_, i) => label[i] === c), style: `fill:${colour(c)};fill-opacity:1`}))
    const named = means.length ? [{kind: "text", x: means.map((m) => m[0]), y: means.map((m) => m[1]), text: names}] : []
    plot(at("map"), {x: {label: "first direction"}, y: {label: "second direction"}, says: "samples and class means in two directions", marks: [...groups, ...named]})
  }
  return {numbers, draw}
})()
