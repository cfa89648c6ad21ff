// -- drawing ------------------------------------------------------------------------------------

const brief = new Map()  // what the short sources hold: Bokeh redraws a glyph for every write, equal or not
function put(name, data) {
  const size = Object.values(data)[0].length, text = size < 50 ? JSON.stringify(data) : null
  if (text !== null && brief.get(name) === text) return
  brief.set(name, text)
  sources[name].data = data
}
const hex = color => [1, 3, 5].map(i => parseInt(color.slice(i, i + 2), 16))
const pale = color => {  // towards the surface; overlapping transparent lines would show their joints
  const from = hex(color), to = hex(options.tokens[chosen.mode].surface)
  return "#" + from.map((c, i) => Math.round(0.2 * c + 0.8 * to[i]).toString(16).padStart(2, "0")).join("")
}
const certain = layer => chosen.layer === layer || (chosen.layer === null && layers().length <= MANY)  // draw how sure it is?
const tint = (layer, color) => chosen.layer !== null && chosen.layer !== layer ? pale(color) : color
const set = (model, changes) => {
  for (const [name, value] of Object.entries(changes)) if (model[name] !== value) model.setv({[name]: value})
}

// Painting thousands of points takes a browser a second. While a reader travels in time a long path is drawn with
// every so-manieth of them, and whole as soon as the reader rests.
const LONG = 500
let hurried = false, settling = null
function hurry() {
  if (!layers().some((_, l) => points(l).length > LONG)) return
  hurried = true
  clearTimeout(settling)
  settling = setTimeout(() => { hurried = false; refresh() }, 400)
}
const sketched = (layer, list = points(layer)) => !hurried || list.length <= LONG ? list
  : remember(`sketch/${layer}/${chosen.probe}/${chosen.estimator}/${chosen.unit}/${chosen.minus}`, () => {
    const every = Math.ceil(list.length / LONG)
    return list.filter((_, i) => i % every === 0 || i === list.length - 1)
  })

const in_order = () => [...layers().keys()].sort((a, b) => (a === chosen.layer) - (b === chosen.layer))  // the picked one on top
function trails(name, at) {  // polylines of one colour and style each; at(point) → [x, y]
  const out = STYLES.map(() => ({xs: [], ys: [], color: []})), ghost = {xs: [], ys: []}
  in_order().forEach(l => {
    const list = sketched(l), n = upto(list, now())
    let line = null, key = null
    for (let i = 1; i < n; i++) {
      const [x0, y0] = at(list[i - 1]), [x1, y1] = at(list[i])
      if (![x0, y0, x1, y1].every(finite)) { key = null; continue }
      const style = Math.max(0, list[i].v), color = shade(list[i].u)
      if (key !== style + color) {
        key = style + color
        line = {xs: [x0], ys: [y0]}
        out[style].xs.push(line.xs); out[style].ys.push(line.ys); out[style].color.push(tint(l, color))
      }
      line.xs.push(x1); line.ys.push(y1)
    }
    const rest = list.slice(Math.max(0, n - 1)).map(at).filter(p => p.every(finite))
    if (n < list.length && rest.length > 1) { ghost.xs.push(rest.map(p => p[0])); ghost.ys.push(rest.map(p => p[1])) }
  })
  STYLES.forEach((style, i) => put(`${name}_${style}`, out[i]))
  return ghost
}

function spread(ends, gap, low, high) {  // labels at least a gap apart, each as near its curve as can be
  ends.sort((a, b) => a.y - b.y)
  const groups = []  // neighbours that touch move as one, around the mean of where they want to be
  for (const end of ends) {
    groups.push({ends: [end], want: end.y, n: 1})
    for (;;) {
      const b = groups.at(-1), a = groups.at(-2)
      const bottom = g => Math.max(low, Math.min(high - (g.n - 1) * gap, g.want / g.n - (g.n - 1) * gap / 2))
      b.at = bottom(b)
      if (!a || a.at + a.n * gap <= b.at + 1e-9) break
      groups.pop()
      Object.assign(a, {ends: [...a.ends, ...b.ends], want: a.want + b.want, n: a.n + b.n})
    }
  }
  for (const g of groups) g.ends.forEach((end, i) => { end.y = g.at + i * gap })
}
