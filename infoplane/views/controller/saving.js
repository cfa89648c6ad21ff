// -- saving: a figure for a paper, on white ---------------------------------------------------------

const DRAWN = {plane: "Information plane", compression: "Compression", fitting: "Fitting", training: "Training"}
let on_paper = false  // drawn in light colours, whatever the page has
async function save(which, kind) {
  const dark = chosen.mode === "dark"
  if (dark) {
    on_paper = true
    refresh()
    for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame)
  }
  const names = which in DRAWN ? [which] : Object.keys(DRAWN)
  const cursors = [...names, "strip"].map(name => models[`${name}_cursor`]).filter(Boolean)
  if (chosen.step === null) for (const cursor of cursors) cursor.setv({visible: false})
  const painted = [...names, "strip"].map(name => {
    const view = cb_context.index.find_one(figures[name])
    return {name, bbox: view.bbox, layer: view.export("svg")}
  })
  for (const cursor of cursors) cursor.setv({visible: true})
  if (dark) { on_paper = false; refresh() }
  for (const part of painted) part.svg = new DOMParser().parseFromString(await (await part.layer.to_blob()).text(), "image/svg+xml").documentElement
  for (const text of painted.at(-1).svg.querySelectorAll("text")) if (text.textContent === figures.strip.below[0].axis_label) text.remove()
  painted.at(-1).svg.append(word_of_axis(painted.at(-1).bbox.width / 2, 54, 0, `${has_epochs() ? "epoch" : "step"}, log scale`))
  const run = meta().name || "infoplane"
  await infoplaneSaving.keep(names.length > 1 ? beside_each_other(painted) : with_its_time(painted), kind, names.length > 1 ? run : `${run}-${DRAWN[which]}`)
}
function beside_each_other(painted) {  // as on the page
  const left = Math.min(...painted.map(p => p.bbox.left)), top = Math.min(...painted.map(p => p.bbox.top))
  const svg = infoplaneSaving.sheet(Math.max(...painted.map(p => p.bbox.right)) - left, Math.max(...painted.map(p => p.bbox.bottom)) - top)
  for (const {svg: part, bbox} of painted) infoplaneSaving.place(svg, part, bbox.left - left, bbox.top - top, bbox.width, bbox.height)
  return svg
}
function with_its_time([figure, strip]) {  // one figure, the colours of time below it, and a title on each axis
  const width = Math.max(figure.bbox.width, strip.bbox.width), {height} = figure.bbox, svg = infoplaneSaving.sheet(width, height + strip.bbox.height + 6)
  infoplaneSaving.place(svg, figure.svg, (width - figure.bbox.width) / 2, 0, figure.bbox.width, height)
  infoplaneSaving.place(svg, strip.svg, (width - strip.bbox.width) / 2, height + 6, strip.bbox.width, strip.bbox.height)
  const e = current(), unit = `[${chosen.unit}]`, scalars = (meta().scalars ?? []).filter(n => n !== "epoch").map(n => n.replaceAll("_", " "))
  const titles = {
    plane: [], compression: [chosen.heat ? "layer" : `${e.x_title}${less("xn")} ${unit}`], fitting: [chosen.heat ? "layer" : `${e.y_title}${less("yn")} ${unit}`],
    training: [scalars.filter(n => !SHARE.test(n)).slice(0, 2).join(", "), scalars.find(n => SHARE.test(n)) ?? ""],
  }[figure.name]
  // the time panels of the page say it above
  titles.forEach((title, i) => svg.append(word_of_axis(i ? width - 5 : 13, (38 + height) / 2, -90, title)))
  return svg
}
function word_of_axis(x, y, turned, words) {
  const text = document.createElementNS(infoplaneSaving.NS, "text"), font = models.plane_subtitle.text_font
  for (const [name, value] of Object.entries({transform: `translate(${x} ${y}) rotate(${turned})`, "text-anchor": "middle", "font-family": font, "font-size": "12px", fill: options.tokens.light.ink})) text.setAttribute(name, value)
  text.textContent = words
  return text
}
