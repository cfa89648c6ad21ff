// -- layers as rows: a heat map in place of the curves --------------------------------------------

// A network of many layers is a tangle of curves. As rows, in the order of the network, it shows how
// a change walks through it. Grey, since colour is time: the further from the page, the larger the value.
const PALEST = 0.05, DARKEST = 0.9
function grey(share) {
  const t = options.tokens[chosen.mode], from = hex(t.surface), to = hex(t.ink), at = PALEST + (DARKEST - PALEST) * Math.max(0, Math.min(1, share))
  return "#" + from.map((c, i) => Math.round(c + at * (to[i] - c)).toString(16).padStart(2, "0")).join("")
}
const most = name => figures[name].y_range.end / (name === "compression" ? 1.06 : 1.08)  // the same for all estimators
const NO_CELLS = () => ({left: [], right: [], bottom: [], top: []})
function draw_heat(name, value, verdict) {
  const plot = figures[name], {start, end} = plot.y_range, row = (end - start) / layers().length, pixel = (end - start) / (plot.inner_height || 140)
  const cells = {...NO_CELLS(), color: []}, hatched = NO_CELLS(), every = Math.ceil(13 * pixel / row)
  let names = []
  layers().forEach((layer, l) => {
    const list = points(l).filter(p => finite(p[value])), top = end - l * row, bottom = top - row
    const edge = list.map((p, i) => i ? (p.u + list[i - 1].u) / 2 : p.u), last = i => edge[i + 1] ?? Math.max(list[i].u, edge[i] + 0.004 * horizon())
    list.forEach((p, i) => {
      const color = tint(l, grey((p[value] - start) / (most(name) - start))), bad = p[verdict] === 2 && p.step <= now()
      cells.left.push(edge[i]); cells.right.push(last(i)); cells.bottom.push(bottom); cells.top.push(top)
      cells.color.push(p.step <= now() ? color : pale(color))
      if (bad && i && hatched.right.at(-1) === edge[i] && hatched.top.at(-1) === top) hatched.right[hatched.right.length - 1] = last(i)  // one run, one pattern
      else if (bad) { hatched.left.push(edge[i]); hatched.right.push(last(i)); hatched.bottom.push(bottom); hatched.top.push(top) }
    })
    if (list.length && (l % every === 0 || l === chosen.layer)) names.push({x: list.at(-1).u, y: top - row / 2, text: layer.label})
  })
  spread(names, 12 * pixel, start + 6 * pixel, end - 6 * pixel)
  put(`${name}_cells`, cells); put(`${name}_hatched`, hatched)
  put(`${name}_text`, {x: names.map(n => n.x), y: names.map(n => n.y), text: names.map(n => n.text)})
  for (const style of STYLES) put(`${name}_${style}`, {xs: [], ys: [], color: []})
  for (const part of ["ghost", "band", "lead", "bound"]) put(`${name}_${part}`, {xs: [], ys: []})
  put(`${name}_dot`, {x: [], y: []})
}
function draw_over_time() {  // both time figures, as curves or as rows
  for (const name of ["compression", "fitting"]) {
    set(figures[name].left[0], {visible: !chosen.heat})
    set(figures[name].center.find(g => g.dimension === 1), {visible: !chosen.heat})
  }
  if (chosen.heat) {
    draw_heat("compression", "x", "xv"); draw_heat("fitting", "y", "yv")
    for (const mark of ["onset", "peak", "fitted"]) put(mark, {x: [], y: []})
    put("fitting_null", {xs: [], ys: []}); put("fitting_null_line", {xs: [], ys: []})
    return
  }
  for (const name of ["compression", "fitting"]) { put(`${name}_cells`, {...NO_CELLS(), color: []}); put(`${name}_hatched`, NO_CELLS()) }
  draw_null_curves()
  draw_curves("compression", "x", "xl", "xh"); draw_curves("fitting", "y", "yl", "yh")
  draw_turns()
}
const shades_in_words = name => `${chosen.mode === "dark" ? "black" : "white"} = ${number(figures[name].y_range.start, 0)}, ${chosen.mode === "dark" ? "white" : "black"} = ${number(most(name), 1)}`
