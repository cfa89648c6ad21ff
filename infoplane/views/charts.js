// Small figures as SVG: axes, lines, bands, dots, bars, shaded cells. Text becomes text nodes only;
// colours are the page's tokens, so light and dark need nothing. `infoplaneCharts.plot(host, spec)`
// draws into an element and again whenever its width changes.
"use strict"
window.infoplaneCharts = (() => {
  const NS = "http://www.w3.org/2000/svg"
  const finite = Number.isFinite, TIMES = 12  // colours of training time: --ip-t0 … --ip-t11
  // told apart with the common deficiencies of colour vision, 3 : 1 on light and on dark
  const TINTS = ["#0072b2", "#d55e00", "#009e73", "#c2699a", "#b07d00", "#2a97c4", "#8c6bb1", "#8a8f00", "#7f7f7f", "#b4524a"]
  const node = (tag, attributes = {}, ...children) => {
    const made = document.createElementNS(NS, tag)
    for (const [name, value] of Object.entries(attributes)) if (value != null) made.setAttribute(name, value)
    made.append(...children)
    return made
  }
  const short = (v) => {
    const size = Math.abs(v)
    if (size >= 1e6) return `${+(v / 1e6).toPrecision(3)}M`
    if (size >= 1e3) return `${+(v / 1e3).toPrecision(3)}k`
    return String(size !== 0 && size < 1e-3 ? v.toExponential(0) : +v.toPrecision(4)).replace("-", "−")
  }
  const percent = (share) => share === 0 || share === 1 || (share >= 0.01 && share <= 0.99) ? `${Math.round(100 * share)} %` : `${(100 * share).toFixed(1)} %`
  function ticks(low, high, count) {
    const raw = (high - low) / Math.max(count, 1), power = 10 ** Math.floor(Math.log10(raw))
    const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= raw - 1e-12) * power
    const found = []
    for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + 1e-9 * step; v += step) found.push(Math.abs(v) < step * 1e-9 ? 0 : v)
    return found
  }
  const SCALES = {
    linear: {to: (v) => v, ticks: (low, high, n) => ticks(low, high, n)},
    whole: {to: (v) => v, ticks: (low, high, n) => ticks(low, high, Math.min(n, high - low)).filter(Number.isInteger)},
    // steps: log10(1 + step), so that step 0 has a place
    step: {to: (v) => Math.log10(1 + v), ticks: (low, high) => [0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].filter((v) => v >= low && v <= high)},
    log: {to: (v) => Math.log10(v), ticks: (low, high) => { const found = []; for (let p = Math.ceil(Math.log10(low)); p <= Math.log10(high) + 1e-9; p++) found.push(10 ** p); return found }},
  }
  function axis(spec, values, room) {
    const scale = SCALES[spec.scale ?? "linear"]
    const seen = values.filter((v) => finite(v) && finite(scale.to(v)))
    let low = spec.low ?? Math.min(...seen), high = spec.high ?? Math.max(...seen)
    if (!finite(low) || !finite(high)) [low, high] = [0, 1]
    if (low === 0 && high === 0) high = 1
    if (low === high) { const pad = Math.abs(low) * 0.1 || 0.5; if (spec.low == null) low -= pad; high += pad }
    else if (!spec.scale || spec.scale === "linear") { const pad = 0.06 * (high - low); if (spec.low == null) low -= pad; if (spec.high == null) high += pad }
    const [a, b] = [scale.to(low), scale.to(high)]
    return {at: (v) => room[0] + (scale.to(v) - a) / (b - a) * (room[1] - room[0]), ticks: scale.ticks(low, high, Math.abs(room[1] - room[0]) / (spec.every ?? 60))}
  }
  const path = (xs, ys, ax, ay) => {
    let text = "", pen = false
    xs.forEach((x, i) => {
      if (!finite(x) || !finite(ys[i]) || !finite(ax.at(x)) || !finite(ay.at(ys[i]))) { pen = false; return }
      text += `${pen ? "L" : "M"}${ax.at(x).toFixed(1)} ${ay.at(ys[i]).toFixed(1)}`
      pen = true
    })
    return text
  }
  function apart(s, ay) {  // pixel rows at least 13 apart, in order
    const rows = s.y.map((y, i) => ({i, at: ay.at(y)})).sort((a, b) => a.at - b.at)
    for (let round = 0; round < 30; round++) rows.forEach((row, k) => {
      const before = rows[k - 1]
      if (!before) row.at = Math.max(row.at, 11)
      if (before && row.at - before.at < 13) { const push = (13 - (row.at - before.at)) / 2; before.at -= push; row.at += push }
    })
    let floor = ay.zero + 3  // what was pushed below the axis goes back up, and what is in its way
    for (const row of [...rows].reverse()) { row.at = Math.min(row.at, floor); floor = row.at - 13 }
    return rows.sort((a, b) => a.i - b.i).map((row) => row.at)
  }
  const MARKS = {
    line: (s, ax, ay) => s.x.length === 1 ? MARKS.dots(s, ax, ay) : [node("path", {d: path(s.x, s.y, ax, ay), class: "line", style: s.style})],
    band: (s, ax, ay) => {
      const keep = s.x.map((_, i) => i).filter((i) => finite(s.low[i]) && finite(s.high[i]))
      const up = path(keep.map((i) => s.x[i]), keep.map((i) => s.high[i]), ax, ay)
      const down = path(keep.map((i) => s.x[i]).reverse(), keep.map((i) => s.low[i]).reverse(), ax, ay)
      return up ? [node("path", {d: `${up}L${down.slice(1)}Z`, class: "band", style: s.style})] : []
    },
    // a path through the plane, coloured by training time: t in [0, 1]
    timed: (s, ax, ay) => {
      const shade = (t) => Math.min(TIMES - 1, Math.floor(t * TIMES)), parts = []
      for (let from = 0; from < s.x.length; ) {
        let to = from + 1
        while (to < s.x.length && shade(s.t[to]) === shade(s.t[from])) to++
        const end = Math.min(to + 1, s.x.length)  // up to the next shade, so that there is no gap
        parts.push(node("path", {d: path(s.x.slice(from, end), s.y.slice(from, end), ax, ay), class: "line", style: `stroke:var(--ip-t${shade(s.t[from])});stroke-width:2.4;stroke-linecap:round`}))
        from = to
      }
      return parts
    },
    // ellipses of half widths rx, ry along a path, as one shape: where they overlap it is no darker
    ribbon: (s, ax, ay) => {
      const oval = (x, y, rx, ry) => `M${(x - rx).toFixed(1)} ${y.toFixed(1)}a${rx.toFixed(1)} ${ry.toFixed(1)} 0 1 0 ${(2 * rx).toFixed(1)} 0a${rx.toFixed(1)} ${ry.toFixed(1)} 0 1 0 ${(-2 * rx).toFixed(1)} 0`
      const at = s.x.map((x, i) => [ax.at(x), ay.at(s.y[i]), Math.max(1, ax.at(s.rx[i]) - ax.at(0)), Math.max(1, ay.at(0) - ay.at(s.ry[i]))])
      const d = at.flatMap((one, i) => {  // and so many in between that the outline is smooth
        const next = at[i + 1] ?? one, gap = Math.hypot(next[0] - one[0], next[1] - one[1])
        const n = Math.min(16, Math.ceil(gap / Math.max(1, Math.min(one[2], one[3]) / 4)) || 1)
        return Array.from({length: n}, (_, k) => oval(...one.map((v, j) => v + (next[j] - v) * k / n)))
      }).join("")
      return d ? [node("path", {d, class: "band", "fill-rule": "nonzero"})] : []
    },
    // discs that hold a layer's name, moved apart, but never up: above may be where no T can be
    heads: (s, ax, ay, box) => {
      const every = Math.ceil(s.text.length / 15), among = (low, v, high) => Math.max(low, Math.min(v, high))
      const discs = s.text.map((text, i) => ({text, x: ax.at(s.x[i]), y: ay.at(s.y[i])})).filter((_, i) => i % every === 0).map((disc) => ({...disc, from: {...disc}}))
      for (let round = 0; round < 60; round++) discs.forEach((a, i) => discs.slice(i + 1).forEach((b, j) => {
        const dx = b.x - a.x || 0.01 * (j + 1), dy = b.y - a.y || 0.3, d = Math.hypot(dx, dy)
        if (d < 18) for (const [disc, sign] of [[a, -1], [b, 1]]) {
          disc.x = among(box.left + 9, disc.x + sign * dx * (18.5 - d) / 2 / d, box.right - 9)
          disc.y = among(Math.max(disc.from.y - 4, box.top + 9), disc.y + sign * dy * (18.5 - d) / 2 / d, box.bottom - 9)
        }
      }))
      const moved = discs.filter(({x, y, from}) => Math.hypot(x - from.x, y - from.y) > 4)
      const leads = moved.map(({x, y, from}) => node("line", {x1: from.x, x2: x, y1: from.y, y2: y, class: "lead"}))
      return leads.concat(discs.flatMap(({text, x, y}) => [node("circle", {cx: x, cy: y, r: 9, class: "head"}), node("text", {x, y: y + 3.5, "text-anchor": "middle", class: "head-text"}, text)]))
    },
    dots: (s, ax, ay) => s.x.map((x, i) => [x, s.y[i], s.title?.[i]]).filter(([x, y]) => finite(x) && finite(y)).map(([x, y, title]) =>
      node("circle", {cx: ax.at(x).toFixed(1), cy: ay.at(y).toFixed(1), r: s.r ?? 2, class: "dot", style: s.style}, ...(title ? [node("title", {}, title)] : []))),
    bars: (s, ax, ay) => s.x.map((x, i) => {
      const [left, right, top] = [ax.at(x - 0.42), ax.at(x + 0.42), ay.at(s.y[i])]
      return node("rect", {x: left.toFixed(1), width: Math.max(right - left, 0.8).toFixed(1), y: top.toFixed(1), height: Math.max(ay.zero - top, 0.5).toFixed(1), class: "bar", style: s.style})
    }),
    rule: (s, ax, ay, box) => [s.x != null
      ? node("line", {x1: ax.at(s.x), x2: ax.at(s.x), y1: box.top, y2: box.bottom, class: "rule", style: s.style})
      : node("line", {y1: ay.at(s.y), y2: ay.at(s.y), x1: box.left, x2: box.right, class: "rule", style: s.style}),
    ...(s.name ? [node("text", {x: box.left + 4, y: ay.at(s.y) - 4, class: "tick"}, s.name)] : [])],
    text: (s, ax, ay) => (s.apart ? apart(s, ay) : s.y.map((y) => ay.at(y))).map((y, i) => node("text", {x: ax.at(s.x[i]), y, dx: s.dx ?? 0, dy: s.dy ?? 4, "text-anchor": s.anchor ?? "middle", class: "mark", style: s.style}, ...(s.title?.[i] ? [node("title", {}, s.title[i])] : []), s.text[i])),
    cells: (s, ax, ay) => s.cells.map((c) => {  // whole pixels: neither gaps nor seams
      const [x0, x1, y0, y1] = [ax.at(c.x0), ax.at(c.x1), ay.at(c.y0), ay.at(c.y1)].map(Math.round)
      return node("rect", {x: x0, width: Math.max(x1 - x0, 1), y: y1, height: Math.max(y0 - y1, 1), "shape-rendering": "crispEdges", style: `fill:var(--ip-ink);fill-opacity:${c.v.toFixed(3)}`})
    }),
  }
  function draw(host, spec) {
    const width = host.clientWidth, height = spec.height ?? host.clientHeight
    if (width < 40 || height < 40) return
    const box = {left: spec.left ?? (spec.y.title ? 60 : 46), right: width - (spec.right ?? 10), top: 6, bottom: height - (spec.x.label === "" ? 18 : 34)}
    const all = (name) => spec.marks.flatMap((s) => s.kind === "cells" ? s.cells.flatMap((c) => [c[`${name}0`], c[`${name}1`]])
      : s.kind === "band" && name === "y" ? [...s.low, ...s.high] : s.kind === "rule" && s.inside === false ? [] : [s[name]].flat())
    const ax = axis(spec.x, all("x"), [box.left, box.right]), ay = axis({every: 34, ...spec.y}, all("y"), [box.bottom, box.top])
    ay.zero = box.bottom
    const svg = node("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": spec.says ?? spec.y.label})
    for (const v of ay.ticks) svg.append(node("line", {x1: box.left, x2: box.right, y1: ay.at(v), y2: ay.at(v), class: "grid"}), node("text", {x: box.left - 6, y: ay.at(v) + 4, "text-anchor": "end", class: "tick"}, short(v)))
    for (const v of ax.ticks) svg.append(node("text", {x: ax.at(v), y: box.bottom + 14, "text-anchor": "middle", class: "tick"}, short(v)))
    svg.append(node("line", {x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, class: "axis"}))
    if (spec.y.title) svg.append(node("text", {transform: `translate(11 ${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle", class: "label"}, spec.y.label))
    if (spec.x.label) svg.append(node("text", {x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle", class: "label"}, spec.x.label))
    for (const mark of spec.marks) svg.append(...MARKS[mark.kind](mark, ax, ay, box))
    host.replaceChildren(svg)
  }
  const watch = new ResizeObserver((entries) => { for (const {target} of entries) if (target.__spec) draw(target, target.__spec) })
  function plot(host, spec) {
    host.__spec = spec
    draw(host, spec)
    watch.observe(host)
    offer(host)
  }

  // -- a figure for a paper: drawn anew in light colours, with its caption and both axes named ------
  const CAPTION = {"font-family": "Helvetica, Arial, sans-serif", "text-anchor": "start"}
  const DRAWN = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "stroke-linecap", "font-size", "font-weight", "paint-order"]
  function offer(host) {
    const figure = host.closest("figure")
    if (!figure) return
    let made = figure.querySelector(".save")
    if (!made) {
      made = document.createElement("span")
      made.className = "save"
      made.append(...["PNG", "SVG"].map((kind) => {
        const button = document.createElement("button")
        Object.assign(button, {type: "button", textContent: kind})
        button.addEventListener("click", () => keep(figure, host, kind.toLowerCase()))
        return button
      }))
      figure.append(made)
    }
    const about = [title_of(figure), figure.querySelector("figcaption small")?.textContent.trim()].filter(Boolean).join(", ")
    for (const button of made.children) button.setAttribute("aria-label", `Save as ${button.textContent}: ${about}`)
  }
  const title_of = (figure) => [...figure.querySelector("figcaption").childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join(" ") || (figure.querySelector("svg")?.getAttribute("aria-label") ?? "")
  function lines_of(words, room) {
    const lines = [""]
    for (const word of words.split(/\s+/)) if ((lines.at(-1) + word).length * 5.9 < room) lines[lines.length - 1] += `${word} `; else lines.push(`${word} `)
    return lines.map((line) => line.trim()).filter(Boolean)
  }
  function timeline([first, last], shades, y) {  // what the colours of a path through the plane mean
    const words = (x, text) => node("text", {...CAPTION, x, y, fill: "#14181f", "font-size": "12px"}, text), from = 16 + 5.7 * (8 + first.length)
    return [words(8, `colour: ${first}`), ...shades.map((fill, i) => node("rect", {x: from + 10 * i, y: y - 9, width: 10.5, height: 9, fill})), words(from + 10 * TIMES + 6, `${last}, log scale`)]
  }
  function keep(figure, host, kind) {
    const spec = host.__spec, width = 440, height = spec.height ?? 240, page = document.documentElement, theme = page.dataset.theme
    const room = document.createElement("div")
    room.style.cssText = `position:fixed;left:-9999px;width:${width}px;height:${height}px`
    document.body.append(room)
    page.dataset.theme = "light"
    draw(room, {...spec, y: {...spec.y, title: true}})
    const svg = room.firstChild, paper = getComputedStyle(page), shades = Array.from({length: TIMES}, (_, i) => paper.getPropertyValue(`--ip-t${i}`))
    for (const one of svg.querySelectorAll("*")) {  // a file of its own knows no style sheet of ours
      const seen = getComputedStyle(one)
      for (const name of DRAWN) one.setAttribute(name, seen.getPropertyValue(name))
      one.removeAttribute("style")
      one.removeAttribute("class")
    }
    room.remove()
    if (theme) page.dataset.theme = theme
    else delete page.dataset.theme
    const caption = figure.querySelector("figcaption"), said = [caption.querySelector("small")?.textContent, spec.note].filter(Boolean).join("; ")
    const small = lines_of(said, width - 16)
    const keys = [...caption.querySelectorAll(".legend > span")], top = 22 + 15 * (small.length + (keys.length || spec.times ? 1 : 0))
    const sheet = infoplaneSaving.sheet(width, height + top), ink = "#14181f"
    sheet.append(node("text", {...CAPTION, x: 8, y: 16, fill: ink, "font-size": "13px", "font-weight": 700}, title_of(figure)))
    small.forEach((line, i) => sheet.append(node("text", {...CAPTION, x: 8, y: 32 + 15 * i, fill: ink, "font-size": "12px"}, line)))
    if (keys.length) sheet.append(node("text", {...CAPTION, x: 8, y: 32 + 15 * small.length, fill: ink, "font-size": "12px"}, ...keys.flatMap((key) => [
      node("tspan", {fill: key.querySelector("i").style.color}, key.querySelector("i").textContent), node("tspan", {}, `${key.textContent.slice(key.querySelector("i").textContent.length)}   `)])))
    if (spec.times) sheet.append(...timeline(spec.times, shades, 32 + 15 * small.length))
    svg.setAttribute("font-family", CAPTION["font-family"])
    infoplaneSaving.place(sheet, svg, 0, top, width, height)
    infoplaneSaving.keep(sheet, kind, `${document.title.replace(/ · infoplane$/, "")}-${title_of(figure)}`)
  }
  return {plot, short, percent, TINTS}
})()
