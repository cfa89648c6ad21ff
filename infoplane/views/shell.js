// What every page needs: messages from the server, the address, a lost connection; and the pages
// that are plain HTML. Text from a run becomes text nodes only. Figures are the controller's.
"use strict"
window.infoplane = (() => {
  const first = JSON.parse(document.getElementById("ip-first").textContent)
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
  const floats = (text) => new Float32Array(bytes(text).buffer)
  function changed(before, text) {  // "=": all of an array; "~": a bit for each number, then those that are new
    if (text[0] === "=") return floats(text.slice(1))
    const told = bytes(text.slice(1)), bits = Math.ceil(before.length / 8)
    const numbers = new Float32Array(told.slice(bits).buffer), made = Float32Array.from(before)
    let next = 0
    for (let i = 0; i < made.length; i++) if (told[i >> 3] >> (7 - (i & 7)) & 1) made[i] = numbers[next++]
    return made
  }

  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag)
    if (text !== "") made.textContent = text
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
    return made
  }
  const count = (n) => n == null ? "–" : n.toLocaleString("en")
  const ago = (seconds) => {
    const [n, unit] = seconds < 60 ? [seconds, "second"] : seconds < 3600 ? [seconds / 60, "minute"]
      : seconds < 172800 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"]
    return new Intl.RelativeTimeFormat("en", {numeric: "auto"}).format(-Math.round(n), unit)
  }

  // -- Explore: a document of its own, in the browser alone; the live row is written last -----------
  let kit = null
  function frame(message, options) {
    const {raw, scalars, texts, facts, head, scalar_head, live} = kit
    const replace = (source, data) => source.setv({data}, options)
    if (message.reset) {
      replace(raw, {v: floats(message.rows)})
      replace(scalars, {v: floats(message.scalars)})
    } else {
      if (message.rows) raw.stream({v: floats(message.rows)})
      if (message.scalars) scalars.stream({v: floats(message.scalars)})
    }
    if (message.texts) replace(texts, {text: [...texts.data.text, ...message.texts]})
    if (message.meta) replace(facts, {json: [message.meta]})
    replace(head, {v: changed(head.data.v, message.head)})
    replace(scalar_head, {v: changed(scalar_head.data.v, message.scalar_head)})
    replace(live, {...live.data, ...Object.fromEntries(Object.entries(message.live).map(([name, value]) => [name, [value]]))})
  }
  function keep_styles() {  // Bokeh writes the same style sheets at every paint; each time the browser computed all styles anew
    const {prototype} = Bokeh.require("core/dom").InlineStyleSheet, {replace} = prototype
    prototype.replace = function (css, styles) { if (styles != null || css !== this.css) replace.call(this, css, styles) }
    Bokeh.require("core/visuals/visual").VisualProperties.prototype._get_css_value = () => ""  // ours are properties, never CSS variables
  }
  function draw() {
    try { keep_styles() } catch { /* another Bokeh: slower, not wrong */ }
    const figures = Bokeh.require("document").Document.from_json(JSON.parse(document.getElementById("ip-kit").textContent))
    const names = ["raw", "scalars", "texts", "facts", "head", "scalar_head", "live", "view"]
    kit = Object.fromEntries(names.map((name) => [name, figures.get_model_by_name(name)]))
    frame(JSON.parse(first.frame), {silent: true})  // before anything is drawn
    kit.view.setv({data: first.view}, {silent: true})
    kit.view.properties.data.change.connect(() => { address(kit.view.data); layer_panel() })
    return Bokeh.embed.add_document_standalone(figures, document.getElementById("ip-figures"))
  }
  if (document.getElementById("ip-kit")) addEventListener("DOMContentLoaded", draw)

  // What the reader has chosen is kept in the address, so that it can be sent to a colleague.
  function address(view) {
    const here = new URLSearchParams(location.search)
    const chosen = {minus: view.minus[0] ? "1" : null, overlay: view.overlay[0] ? "1" : null, heat: view.heat[0] ? "1" : null, estimator: view.estimator[0], unit: view.unit[0], probe: view.probe[0], step: view.step[0], layer: view.layer[0]}
    for (const [name, value] of Object.entries(chosen)) {
      if (value == null || value === "" || value === first.defaults[name]) here.delete(name)
      else here.set(name, value)
    }
    if (first.run) here.set("run", first.run)
    const query = here.toString()
    history.replaceState(null, "", query ? `?${query}` : location.pathname)
  }

  // -- Layer panel ---------------------------------------------------------------------------------
  let asked = 0, asked_layer = 0, wanted = "", history_of = ""
  const chosen_layer = () => {
    const names = JSON.parse(kit.facts.data.json[0]).layers, view = kit.view.data
    const index = names.findIndex((layer) => layer.label === view.layer[0])
    return index < 0 ? null : {index, ...names[index], step: view.step[0], probe: view.probe[0]}
  }
  function place_panel() {  // below the first time panel, to the pixel, whatever the window's size
    const panel = document.getElementById("layer"), main = document.getElementById("main").getBoundingClientRect()
    const box = (name) => Bokeh.index.find_one(Bokeh.documents.map((d) => d.get_model_by_name(name)).find(Boolean))?.el.getBoundingClientRect()
    const top = box("fitting"), bottom = box("ip-footer")
    if (!panel || panel.hidden || !top || !bottom) return
    Object.assign(panel.style, {top: `${top.top - main.top}px`, left: `${top.left - main.left}px`, bottom: `${main.bottom - bottom.top}px`})
  }
  addEventListener("resize", () => setTimeout(place_panel, 150))  // after Bokeh has laid the figures out
  function layer_panel() {
    const panel = document.getElementById("layer"), layer = chosen_layer()
    panel.hidden = layer === null
    place_panel()
    const question_model = Bokeh.documents.map((d) => d.get_model_by_name("question")).find(Boolean)
    if (layer === null || !question_model) { wanted = history_of = ""; return }
    const step = layer.step ?? kit.live.data.step[0], key = `${layer.name}/${layer.probe}`
    if (`${key}/${step}` === wanted) return
    wanted = `${key}/${step}`
    panel.querySelector("h2").replaceChildren(layer.label, element("span", [layer.name, layer.kind, `${layer.width} units`].filter(Boolean).join(" · ")))
    document.getElementById("calibrate").href = `?${new URLSearchParams({page: "calibrate", run: first.run, layer: layer.label, step})}`
    panel.querySelector(".figures").classList.add("wait")
    const question = {layer: layer.index, step, probe: layer.probe, history: history_of !== key}
    history_of = key
    asked_layer = ++asked
    question_model.tags = [asked_layer, question]
  }
  let past = null
  function layer(number, answer) {
    if (number === filed && answer.error) { reading.hidden = false; return read(answer) }
    if (answer.file) return infoplaneSaving.download(new Blob([answer.text], {type: "text/plain"}), document.title.replace(/ · infoplane$/, ""), answer.file)
    if (answer.reading || reads === number) return read(answer)
    if (answer.history) past = answer.history
    if (number !== asked_layer) return  // the reader has gone on
    const panel = document.getElementById("layer"), figures = panel.querySelector(".figures")
    figures.classList.remove("wait")
    const error = panel.querySelector(".error")
    error.textContent = answer.error ?? ""
    figures.hidden = panel.querySelector("dl").hidden = Boolean(answer.error) || !answer.spectrum
    if (answer.error) return
    if (!answer.spectrum) { error.textContent = "Fewer than two samples are finite here; there is nothing to show."; return }
    panel.querySelector("dl").replaceChildren(...infoplaneLayer.numbers(answer.facts))
    infoplaneLayer.draw(figures, answer, past)
  }
  function show_layer(by) {  // 0 closes, ±1 goes to a neighbour
    const {layers} = JSON.parse(kit.facts.data.json[0]), now = chosen_layer()
    const next = by === 0 || now === null ? null : layers[(now.index + by + layers.length) % layers.length].label
    const {chosen, told} = kit.live.__ip  // what is chosen now: `view` may not have been told yet
    chosen.layer = null
    kit.view.data = {...told(), layer: [next]}
  }
  for (const button of document.querySelectorAll("#layer button")) button.addEventListener("click", () => show_layer(Number(button.value)))

  // -- Reading: what can be concluded, in words, as of the moment it was opened -----------------------
  const reading = document.getElementById("reading")
  let reads = 0, filed = 0
  function open_reading(open = reading.hidden) {
    reading.hidden = !open
    if (!open) return
    reading.querySelector(".prose").replaceChildren(element("p", "Reading the measurements …"))
    reading.querySelector("button").focus()
    if (!model("question")) return  // not connected yet: it is asked when the page is ready
    reads = ++asked
    model("question").tags = [reads, {reading: true}]
  }
  function read(answer) {
    const paragraphs = (answer.reading ?? [["", answer.error]]).flatMap(([title, ...lines]) =>
      [...(title ? [element("h3", title)] : []), ...lines.map((line) => element("p", line))])
    reading.querySelector(".prose").replaceChildren(...paragraphs)
  }
  reading?.addEventListener("open", () => open_reading())
  reading?.addEventListener("file", ({detail}) => { filed = ++asked; model("question").tags = [filed, {file: detail}] })
  reading?.querySelector("button").addEventListener("click", () => open_reading(false))
  addEventListener("keydown", ({key}) => { if (key === "Escape" && reading && !reading.hidden) open_reading(false) })

  // -- pages that ask for what they show -------------------------------------------------------------
  let next_question = {}, waiting = null, last_asked = 0
  const model = (name) => Bokeh.documents.map((d) => d.get_model_by_name(name)).find(Boolean)
  function ask(question = {}, now = false) {  // at most once in two seconds, unless a person waits; what was asked in between is joined
    Object.assign(next_question, question)
    if (now) { clearTimeout(waiting); waiting = null; last_asked = 0 }
    waiting ??= setTimeout(() => {
      waiting = null
      if (!model("question")) return  // not connected yet: kept until the page is ready
      last_asked = Date.now()
      model("question").tags = [++asked, next_question]
      next_question = {}
    }, Math.max(0, 2000 - (Date.now() - last_asked)))
  }
  function nudge(message) {
    const state = document.querySelector(".state")
    state.replaceChildren(element("span", message.live.state[0], {class: "chip", "data-state": message.live.state[0]}))
    if (message.live.step[0] != null) state.append(` step ${count(message.live.step[0])}`)
    ask()
  }

  // -- the connection ------------------------------------------------------------------------------
  let gone = false
  function lost() {
    if (gone) return
    gone = true
    document.querySelector(".lost").hidden = false
    const again = async () => {
      try {
        if ((await fetch(location.href, {method: "HEAD", cache: "no-store"})).status < 500) return location.reload()
      } catch { /* the server does not answer yet */ }
      setTimeout(again, 2000)
    }
    setTimeout(again, 1000)
  }
  document.getElementById("run-choice")?.addEventListener("change", ({target}) => { location.search = target.value })
  addEventListener("pagehide", () => { gone = true })  // leaving is not losing

  const begin = []
  const ready = () => {
    if (document.getElementById("layer")) layer_panel()
    if (reading && !reading.hidden) open_reading(true)
    for (const start of begin) start()
    if (Object.keys(next_question).length) ask({}, true)
  }

  // -- what the scripts of single pages are made with ------------------------------------------------
  const keep_only = (host, n) => { while (host.children.length > n) host.lastChild.remove() }
  const options = (host, values, selected) => host.replaceChildren(...values.map(([value, text]) => {
    const option = element("option", text, {value})
    option.selected = value === selected
    return option
  }))
  function figure_in(host, i) {  // the caption and the canvas of its i-th figure, made when missing
    while (host.children.length <= i) {
      const figure = element("figure", "")
      figure.append(element("figcaption", ""), element("div", ""))
      host.append(figure)
    }
    return host.children[i].children
  }
  function labels_at_ends(curves) {  // names apart from each other, in the order of the values
    const every = Math.ceil(curves.length / 15)  // of a deep network as many as there is room for
    const ends = curves.filter((c, i) => c.y.length && i % every === 0).map((c) => ({text: c.label, x: c.x.at(-1), y: c.y.at(-1)}))
    return {kind: "text", anchor: "start", dx: 5, x: ends.map((e) => e.x), y: ends.map((e) => e.y), text: ends.map((e) => e.text), apart: true}
  }
  function table(columns, rows, attributes = {}) {  // columns: [title, is a number]; cells: text or nodes
    const made = element("table", "", {class: "list", ...attributes}), head = element("tr", ""), thead = element("thead", ""), body = element("tbody", "")
    head.append(...columns.map(([title, numeric]) => element("th", title, {scope: "col", ...(numeric && {class: "n"})})))
    thead.append(head)
    body.append(...rows.map((cells) => {
      const row = element("tr", "")
      row.append(...cells.map((cell, i) => {
        const td = element("td", "", columns[i][1] ? {class: "n"} : {})
        td.append(...[cell].flat())
        return td
      }))
      return row
    }))
    made.append(thead, body)
    return made
  }
  const page = {first, element, count, ago, percent: infoplaneCharts.percent, ask, keep_only, options, figure_in, labels_at_ends, table, begin: (start) => begin.push(start)}
  return {frame, layer, lost, ready, nudge, page, reload: () => location.reload()}
})()
