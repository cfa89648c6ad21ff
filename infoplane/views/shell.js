// What every page needs: messages from the server, the address, a lost connection; and the pages
// that are plain HTML. Text from a run becomes text nodes only. Figures are controller.js's.
"use strict"
window.infoplane = (() => {
  const first = JSON.parse(document.getElementById("ip-first").textContent)
  const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)

  let known = first.runs ?? []
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
    replace(head, {v: floats(message.head)})
    replace(scalar_head, {v: floats(message.scalar_head)})
    replace(live, message.live)
  }
  function draw() {
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
    const chosen = {estimator: view.estimator[0], unit: view.unit[0], probe: view.probe[0], step: view.step[0], layer: view.layer[0]}
    for (const [name, value] of Object.entries(chosen)) {
      if (value == null || value === "" || value === first.defaults[name]) here.delete(name)
      else here.set(name, value)
    }
    if (first.run) here.set("run", first.run)
    const query = here.toString()
    history.replaceState(null, "", query ? `?${query}` : location.pathname)
  }

  // -- Layer panel ---------------------------------------------------------------------------------
  const CLASSES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#b2a500", "#7f7f7f", "#a6761d"]
  const percent = (share) => share === 0 || share === 1 || (share >= 0.01 && share <= 0.99) ? `${Math.round(100 * share)} %` : `${(100 * share).toFixed(1)} %`
  let asked = 0, wanted = "", history_of = ""
  const chosen_layer = () => {
    const names = JSON.parse(kit.facts.data.json[0]).layers, view = kit.view.data
    const index = names.findIndex((layer) => layer.label === view.layer[0])
    return index < 0 ? null : {index, ...names[index], step: view.step[0], probe: view.probe[0]}
  }
  function layer_panel() {
    const panel = document.getElementById("layer"), layer = chosen_layer()
    panel.hidden = layer === null
    const question_model = Bokeh.documents.map((d) => d.get_model_by_name("question")).find(Boolean)
    if (layer === null || !question_model) { wanted = history_of = ""; return }
    const step = layer.step ?? kit.live.data.step[0], key = `${layer.name}/${layer.probe}`
    if (`${key}/${step}` === wanted) return
    wanted = `${key}/${step}`
    panel.querySelector("h2").replaceChildren(layer.label, element("span", [layer.name, layer.kind, `${layer.width} wide`].filter(Boolean).join(" · ")))
    panel.querySelector(".figures").classList.add("wait")
    const question = {layer: layer.index, step, probe: layer.probe, history: history_of !== key}
    history_of = key
    question_model.tags = [++asked, question]
  }
  let past = null
  function layer(number, answer) {
    if (answer.history) past = answer.history
    if (number !== asked) return
    const panel = document.getElementById("layer"), figures = panel.querySelector(".figures")
    figures.classList.remove("wait")
    const error = panel.querySelector(".error")
    error.textContent = answer.error ?? ""
    figures.hidden = panel.querySelector("dl").hidden = Boolean(answer.error) || !answer.spectrum
    if (answer.error) return
    const f = answer.facts
    if (!answer.spectrum) { error.textContent = "Fewer than two samples are finite here; there is nothing to show."; return }
    const told = [
      ["step", infoplaneCharts.short(f.step), `of ${f.n} samples`],
      ["effective rank", f.rank.toFixed(1), `of ${f.d}`],
      ["dead units", String(f.dead), `of ${f.looked_at[1]}`],
      ["at its extremes", percent(f.extreme), "of values"],
      ["alone in a cell", percent(f.single), "of samples"],
    ]
    panel.querySelector("dl").replaceChildren(...told.map(([name, value, of]) => {
      const row = element("div", "")
      const dd = element("dd", `${value} `)
      dd.append(element("small", of))
      row.append(element("dt", name), dd)
      return row
    }))
    const {plot} = infoplaneCharts, at = (name) => figures.querySelector(`[data-figure=${name}]`)
    if (past?.steps.length) {
      const s = past.steps, u = (v) => Math.log10(1 + v), size = past.density[0].length, height = (past.high - past.low) / size
      const edge = (i) => i <= 0 ? s[0] : i >= s.length ? s.at(-1) + Math.max(1, 0.06 * s.at(-1)) : 10 ** ((u(s[i - 1]) + u(s[i])) / 2) - 1
      const top = Math.max(...past.density.flat())
      const cells = s.flatMap((_, i) => past.density[i].map((v, j) => ({x0: edge(i), x1: edge(i + 1), y0: past.low + j * height, y1: past.low + (j + 1) * height, v: Math.sqrt(v / top)})).filter((c) => c.v > 0.02))
      plot(at("history"), {x: {scale: "step", label: "step", low: 0}, y: {label: "activation", low: past.low, high: past.high}, says: "activations of the layer over training", marks: [{kind: "cells", cells}, {kind: "rule", x: f.step, inside: false, style: "stroke:var(--ip-accent);stroke-dasharray:none;stroke-width:1.5"}]})
    }
    plot(at("spectrum"), {x: {label: "principal direction", low: 0.4, high: Math.max(answer.spectrum.length, 2) + 0.6}, y: {label: "share of variance", low: 0}, says: "spectrum", marks: [{kind: "bars", x: answer.spectrum.map((_, i) => i + 1), y: answer.spectrum}, {kind: "rule", x: f.rank, style: "stroke:var(--ip-accent)"}]})
    plot(at("cells"), {x: {label: `cells, fullest first (${f.cells} in use)`, low: 0.4, high: Math.max(answer.cells.length, 2) + 0.6}, y: {label: "samples", low: 0}, says: "samples in each cell", marks: [{kind: "bars", x: answer.cells.map((_, i) => i + 1), y: answer.cells}]})
    const {x, y, label = x.map(() => 0), names = [], means = []} = answer.map
    const colour = (c) => names.length ? CLASSES[c % CLASSES.length] : "var(--ip-muted)"
    const groups = [...new Set(label)].map((c) => ({kind: "dots", r: 2.2, x: x.filter((_, i) => label[i] === c), y: y.filter((_, i) => label[i] === c), style: `fill:${colour(c)};fill-opacity:.55`}))
    plot(at("map"), {x: {label: "first direction"}, y: {label: "second direction"}, says: "samples and class means in two directions", marks: [...groups, ...(means.length ? [{kind: "text", x: means.map((m) => m[0]), y: means.map((m) => m[1]), text: names}] : [])]})
  }
  function show_layer(by) {  // 0 closes, ±1 goes to a neighbour
    const {layers} = JSON.parse(kit.facts.data.json[0]), now = chosen_layer()
    const next = by === 0 || now === null ? null : layers[(now.index + by + layers.length) % layers.length].label
    kit.live.__ip.chosen.layer = null
    kit.view.data = {...kit.view.data, layer: [next]}
  }
  for (const button of document.querySelectorAll("#layer button")) button.addEventListener("click", () => show_layer(Number(button.value)))

  // -- pages that ask for what they show -------------------------------------------------------------
  let next_question = {}, waiting = null, last_asked = 0
  const model = (name) => Bokeh.documents.map((d) => d.get_model_by_name(name)).find(Boolean)
  function ask(question = {}) {  // at most once in two seconds; what was asked in between is joined
    Object.assign(next_question, question)
    waiting ??= setTimeout(() => {
      waiting = null
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

  // -- Diagnostics ---------------------------------------------------------------------------------
  function labels_at_ends(curves, at = (v) => v) {  // names apart from each other, in the order of the values
    const ends = curves.filter((c) => c.y.length).map((c) => ({text: c.label, x: c.x.at(-1), y: c.y.at(-1)}))
    return {kind: "text", anchor: "start", dx: 5, x: ends.map((e) => e.x), y: ends.map((e) => e.y), text: ends.map((e) => e.text), apart: true}
  }
  function diagnostics(number, answer) {
    if (answer.error) { document.getElementById("hint").textContent = answer.error; return }
    const list = document.getElementById("alerts"), keep = document.getElementById("keep")
    const groups = new Map()  // what is said of several layers is said once
    for (const alert of answer.alerts) {
      const key = [alert.level, alert.words, alert.step].join("/")
      if (groups.has(key)) groups.get(key).where.push(alert.label)
      else groups.set(key, {...alert, where: [alert.label && `${alert.label} ${alert.layer}`]})
    }
    list.replaceChildren(...(groups.size ? [...groups.values()].map((alert) => {
      const row = element("li", "")
      const about = [alert.kind, alert.where.filter(Boolean).map((w, i, all) => all.length > 1 ? w.split(" ")[0] : w).join(", "), alert.step != null && `step ${count(alert.step)}`, alert.kept && "kept"].filter(Boolean).join(" · ")
      row.append(element("span", alert.level, {class: "level", "data-level": alert.level}), element("span", alert.words), element("small", about))
      return row
    }) : [element("li", "Nothing to report.", {class: "none"})]))
    keep.hidden = answer.alerts.every((alert) => alert.kept)
    document.getElementById("hint").textContent = answer.quantities.length ? "Label at the end of a line: the layer. Solid: the first probe set; dashed: the others." : "No quantity beyond the plane was measured yet. For example: infoplane evaluate RUN rank.effective sparsity.zero collapse.nc1"
    const host = document.getElementById("quantities")
    while (host.children.length > answer.quantities.length) host.lastChild.remove()
    answer.quantities.forEach((quantity, i) => {
      if (!host.children[i]) {
        const figure = element("figure", ""), caption = element("figcaption", "")
        figure.append(caption, element("div", ""))
        host.append(figure)
      }
      const [caption, canvas] = host.children[i].children
      caption.replaceChildren(quantity.name, element("small", [quantity.measures, quantity.unit && quantity.unit !== "1" && `in ${quantity.unit}`, quantity.params].filter(Boolean).join(" · "), {title: quantity.measures}))
      const probes = [...new Set(quantity.curves.map((c) => c.probe))]
      const lines = quantity.curves.map((c) => ({kind: "line", x: c.x, y: c.y, style: probes.indexOf(c.probe) ? "stroke-dasharray:5 4;stroke:var(--ip-muted)" : ""}))
      infoplaneCharts.plot(canvas, {height: 210, right: 34, x: {scale: "step", label: "step"}, y: {label: quantity.name}, says: `${quantity.name} over steps`, marks: [...lines, labels_at_ends(quantity.curves.filter((c) => c.probe === probes[0]))]})
    })
  }
  if (document.body.dataset.page === "diagnostics") document.getElementById("keep")?.addEventListener("click", () => ask({keep: true}))

  // -- Compare -------------------------------------------------------------------------------------
  const chosen = new Set(first.chosen ?? [])
  function choices(rows) {
    known = rows ?? known
    const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean)
    const box = document.getElementById("runs-to-choose"), focused = document.activeElement?.value
    const shown = known.filter((run) => run.open && (chosen.has(run.id) || words.every((word) => run.text.includes(word))))
    box.replaceChildren(box.querySelector("legend"), ...shown.map((run) => {
      const label = element("label", ""), tick = element("input", "", {type: "checkbox", value: run.id})
      tick.checked = chosen.has(run.id)
      label.append(tick, element("span", run.name), element("small", `${run.about} · ${run.state}`))
      return label
    }))
    if (focused) box.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus()
  }
  function question() {
    const value = (id) => document.getElementById(id).value
    const here = new URLSearchParams({page: "compare", ...(chosen.size && {runs: [...chosen].join(",")})})
    history.replaceState(null, "", `?${here.toString().replaceAll("%2C", ",")}`)
    last_asked = 0  // a person is waiting
    ask({runs: [...chosen], estimator: value("estimator"), key: value("key"), layer: document.getElementById("layer-choice").selectedIndex})
  }
  const options = (id, values, selected) => document.getElementById(id).replaceChildren(...values.map(([value, text]) => {
    const option = element("option", text, {value})
    option.selected = value === selected
    return option
  }))
  function figure_in(host, i) {
    while (host.children.length <= i) {
      const figure = element("figure", "")
      figure.append(element("figcaption", ""), element("div", ""))
      host.append(figure)
    }
    return host.children[i].children
  }
  const keep_only = (host, n) => { while (host.children.length > n) host.lastChild.remove() }
  function compare(number, answer) {
    const id = (name) => document.getElementById(name)
    const problems = answer.error ? [answer.error] : answer.problems
    id("hint").textContent = chosen.size ? problems.join(" · ") : "Choose runs on the left; runs that differ in their seed only become one band."
    if (answer.error || !answer.estimator) {
      for (const host of ["groups", "scatter", "agreement"]) id(host).replaceChildren()
      for (const words of ["about-groups", "about-scatter", "about-agreement"]) id(words).textContent = ""
      return
    }
    options("estimator", answer.estimators, answer.estimator)
    options("key", [["", "nothing: all together"], ...answer.keys.map((k) => [k, k])], answer.key)
    options("layer-choice", answer.layers.map((l, i) => [String(i), l]), String(answer.layer))
    const several = answer.groups.some((g) => g.runs > 1)
    id("about-groups").textContent = several ? "Line: mean over runs; band: smallest to largest run; thin lines: each run. Layers are named by their order." : "One run in each figure. Layers are named by their order."
    const host = id("groups")
    keep_only(host, 2 * answer.groups.length)
    const high = {X: 0, Y: 0}
    for (const g of answer.groups) for (const l of g.layers) for (const t of ["X", "Y"]) high[t] = Math.max(high[t], ...l[t].high)
    answer.groups.forEach((group, g) => ["X", "Y"].forEach((target, t) => {
      const [caption, canvas] = figure_in(host, 2 * g + t), name = target === "X" ? "I(X;T)" : "I(T;Y)"
      caption.replaceChildren(group.title, element("small", `${name} in bits, ${group.runs} ${group.runs === 1 ? "run" : "runs"}`))
      const marks = group.layers.flatMap(({[target]: l}) => [
        ...(l.each.length > 1 ? [{kind: "band", x: l.x, low: l.low, high: l.high}, ...l.each.map((r) => ({kind: "line", x: r.x, y: r.y, style: "stroke-width:.7;stroke:var(--ip-faint)"}))] : []),
        {kind: "line", x: l.x, y: l.mean},
      ])
      marks.push(labels_at_ends(group.layers.map((l) => ({label: l.label, x: l[target].x, y: l[target].mean}))))
      infoplaneCharts.plot(canvas, {height: 220, right: 34, x: {scale: "step", label: "step"}, y: {label: name, low: 0, high: 1.06 * high[target]}, says: `${name} of ${group.title}`, marks})
    }))
    const {points, rho, low, high: top} = answer.scatter, names = [...new Set(points.map((p) => p.of))].join(", ")
    id("about-scatter").textContent = !points.length ? "No accuracy was recorded in these runs." :
      `Bits of I(X;T) that ${answer.layers[answer.layer]} lost since its peak, against final ${names.replace("_", " ")}. ` + (rho == null ? "Four runs that differ are needed for a rank correlation." : `Spearman ρ = ${rho.toFixed(2)}, 95 % interval ${low.toFixed(2)} to ${top.toFixed(2)} (bootstrap over ${points.length} runs).`)
    keep_only(id("scatter"), points.length ? 1 : 0)
    if (points.length) {
      const [, canvas] = figure_in(id("scatter"), 0)
      infoplaneCharts.plot(canvas, {height: 260, x: {label: "bits lost since the peak"}, y: {label: "accuracy"}, says: "compression against accuracy", marks: [{kind: "dots", r: 4.5, x: points.map((p) => p.x), y: points.map((p) => p.y), title: points.map((p) => p.name), style: "fill-opacity:.75"}]})
    }
    id("about-agreement").textContent = `${answer.agreement.run}: ${answer.agreement.words}`
    const rows = answer.agreement.pairs.filter((p) => p.rho != null)
    const table = element("table", "", {class: "list matrix"}), body = element("tbody", "")
    const head = element("tr", "")
    head.append(...["estimators", "of", "mean rank correlation over layers"].map((text) => element("th", text, {scope: "col"})))
    for (const p of rows) {
      const row = element("tr", ""), value = element("td", p.rho.toFixed(2), {class: "n"}), bar = element("span", "", {class: "rho"})
      bar.style.setProperty("--rho", p.rho)
      value.prepend(bar)
      row.append(element("td", `${p.first} · ${p.second}`), element("td", p.target === "X" ? "I(X;T)" : "I(T;Y)"), value)
      body.append(row)
    }
    const top_row = element("thead", "")
    top_row.append(head)
    table.append(top_row, body)
    id("agreement").replaceChildren(...(rows.length ? [table] : []))
  }
  if (document.getElementById("chooser")) {
    document.getElementById("search").addEventListener("input", () => choices())
    document.getElementById("chooser").addEventListener("submit", (event) => event.preventDefault())
    document.getElementById("runs-to-choose").addEventListener("change", ({target}) => {
      if (target.checked && chosen.size < 24) chosen.add(target.value)
      else { chosen.delete(target.value); target.checked = false }
      question()
    })
    for (const name of ["estimator", "key", "layer-choice"]) document.getElementById(name).addEventListener("change", question)
    if (!chosen.size) for (const run of known.filter((r) => r.open && r.snapshots).slice(0, 4)) chosen.add(run.id)
    choices()
  }

  // -- Playground ----------------------------------------------------------------------------------
  let again = null
  function playground(number, answer) {
    document.getElementById("refused").textContent = answer.error ?? ""
    clearTimeout(again)
    if (answer.error) { again = setTimeout(ask, 1500); return }
    document.getElementById("no-jobs").hidden = answer.jobs.length > 0
    const list = document.getElementById("jobs")
    keep_only(list, answer.jobs.length)
    answer.jobs.forEach((job, i) => {
      if (!list.children[i]) {
        const row = element("li", ""), bar = element("progress", "", {max: 1})
        row.append(element("p", ""), bar, element("p", "", {class: "hint"}), element("p", "", {class: "error"}))
        list.append(row)
      }
      const [head, bar, words, error] = list.children[i].children
      if (head.dataset.state !== job.state + job.run + job.number) {  // built once, so that focus stays
        head.dataset.state = job.state + job.run + job.number
        const title = job.run ? element("a", job.folder, {href: `?run=${encodeURIComponent(job.run)}`}) : element("b", job.folder)
        head.replaceChildren(title, element("span", job.state, {class: "chip", "data-state": {running: "live", cancelled: "interrupted"}[job.state] ?? job.state}))
        if (job.state === "running") {
          const cancel = element("button", "cancel", {type: "button", class: "button"})
          cancel.addEventListener("click", () => { last_asked = 0; ask({cancel: job.number}) })
          head.append(cancel)
        }
      }
      bar.value = job.done
      bar.setAttribute("aria-label", `${job.folder}: epoch ${job.epoch} of ${job.epochs}`)
      words.textContent = [`epoch ${count(job.epoch)} of ${count(job.epochs)}`, job.said, job.what].filter(Boolean).join(" · ")
      error.textContent = job.error
    })
    if (answer.jobs.some((job) => job.state === "running" || !job.run)) again = setTimeout(() => { last_asked = 0; ask() }, 1000)
  }
  if (document.getElementById("recipe")) {
    const form = document.getElementById("recipe"), fit = () => {
      form.querySelector("[data-field=corruption]").hidden = form.task.value !== "blobs"
      form.querySelector("[data-field=strength]").hidden = form.regulariser.value === "none"
    }
    form.addEventListener("change", fit)
    fit()
    form.addEventListener("submit", (event) => {
      event.preventDefault()
      const recipe = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, first.numbers.includes(name) ? Number(value) : value]))
      last_asked = 0
      ask({start: recipe})
    })
  }

  // -- Calibrate -----------------------------------------------------------------------------------
  const TINTS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
  function calibrate(number, answer) {
    const id = (name) => document.getElementById(name), form = id("calibration")
    form.querySelector("button").disabled = false
    id("refused").textContent = answer.error ?? ""
    const readings = answer.readings ?? []
    keep_only(id("readings"), readings.length ? 1 : 0)
    id("reading-table").replaceChildren()
    id("hint").textContent = answer.error ? "" : readings.length ? `Twins of this layer at step ${answer.about.step}: ${answer.about.n} samples, ${answer.about.d} dimensions. On the dashed line an estimator reads what is true; bars show the spread over twins.` : "This layer was not calibrated yet."
    if (!readings.length) return
    const good = readings.filter((r) => r.mean != null), names = [...new Set(good.map((r) => r.estimator))]
    const top = Math.max(...good.map((r) => r.truth), 0.1)
    const [caption, canvas] = figure_in(id("readings"), 0)
    caption.replaceChildren("What is read, what is true", element("small", "I(T;Y) in bits"))
    const marks = [{kind: "line", x: [0, top], y: [0, top], style: "stroke:var(--ip-muted);stroke-dasharray:4 4;stroke-width:1.2"}]
    names.forEach((name, i) => {
      const mine = good.filter((r) => r.estimator === name), tint = TINTS[i % TINTS.length]
      marks.push({kind: "line", x: mine.map((r) => r.truth), y: mine.map((r) => r.mean), style: `stroke:${tint}`}, {kind: "dots", r: 3.2, x: mine.map((r) => r.truth), y: mine.map((r) => r.mean), title: mine.map((r) => `${name}: ${r.mean} where ${r.truth} is true`), style: `fill:${tint}`})
      for (const r of mine) marks.push({kind: "line", x: [r.truth, r.truth], y: [r.mean - r.spread, r.mean + r.spread], style: `stroke:${tint};stroke-width:1`})
    })
    marks.push(labels_at_ends(names.map((name) => { const mine = good.filter((r) => r.estimator === name); return {label: name, x: mine.map((r) => r.truth), y: mine.map((r) => r.mean)} })))
    infoplaneCharts.plot(canvas, {height: 340, right: 130, x: {label: "true information in bits", low: 0}, y: {label: "read, in bits"}, says: "readings against truth", marks})
    const table = element("table", "", {class: "list matrix"}), head = element("tr", ""), body = element("tbody", ""), top_row = element("thead", "")
    head.append(...["estimator", "true", "read", "bias", "spread", "s a call"].map((text, i) => element("th", text, {scope: "col", ...(i && {class: "n"})})))
    top_row.append(head)
    const number_of = (v, digits = 3) => v == null ? "–" : v.toFixed(digits).replace("-", "−")
    for (const r of readings) {
      const row = element("tr", "")
      row.append(element("td", r.estimator), ...[r.truth, r.mean, r.bias, r.spread].map((v) => element("td", number_of(v), {class: "n"})), element("td", number_of(r.seconds), {class: "n"}))
      if (r.note) row.title = r.note
      body.append(row)
    }
    table.append(top_row, body)
    id("reading-table").append(table)
  }
  if (document.getElementById("calibration")) {
    const form = document.getElementById("calibration"), layer_of = () => Number(form.layer.value)
    form.layer.addEventListener("change", () => { last_asked = 0; ask({layer: layer_of()}) })
    form.addEventListener("submit", (event) => {
      event.preventDefault()
      last_asked = 0
      form.querySelector("button").disabled = true
      document.getElementById("hint").textContent = "Twins are being drawn and read …"
      ask({layer: layer_of(), estimators: [...new FormData(form)].filter(([name]) => name === "estimator").map(([, value]) => value)})
    })
  }

  // -- Runs --------------------------------------------------------------------------------------
  function runs(rows) {
    known = rows ?? known
    const wanted = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean)
    const shown = known.filter((run) => wanted.every((word) => run.text.includes(word)))
    const body = document.getElementById("runs")
    const focused = document.activeElement?.getAttribute?.("href")
    body.replaceChildren(...shown.map((run) => {
      const row = element("tr", "")
      const name = element("td", "")
      const title = run.open ? element("a", run.name, {href: `?run=${encodeURIComponent(run.id)}`}) : element("span", run.name)
      name.append(title, element("small", run.about, {title: run.about}))
      const state = element("td", "")
      state.append(element("span", run.state, {class: "chip", "data-state": run.state}))
      if (run.reason) state.append(element("small", run.reason, {title: run.reason}))
      const created = element("td", "", {class: "n"})
      if (run.created) created.append(element("time", ago((Date.now() - Date.parse(run.created)) / 1000), {datetime: run.created, title: new Date(run.created).toLocaleString("en")}))
      row.append(name, state, element("td", count(run.last_step), {class: "n"}), element("td", count(run.snapshots), {class: "n"}), created)
      return row
    }))
    if (focused) body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus()
    document.getElementById("nothing").hidden = shown.length > 0
    document.getElementById("nothing").textContent = known.length ? "No run matches." : first.nothing
    document.getElementById("shown").textContent = known.length ? `${shown.length} of ${known.length}` : ""
  }
  if (document.body.dataset.page === "runs") {
    document.getElementById("search").addEventListener("input", () => runs())
    runs()
    setInterval(() => runs(), 30000)  // "3 minutes ago" goes on by itself
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
  addEventListener("pagehide", () => { gone = true })  // leaving is not losing

  const ready = () => {
    if (document.getElementById("layer")) layer_panel()
    if (document.getElementById("chooser")) question()
    if (document.getElementById("recipe")) ask()
    if (document.getElementById("calibration")) ask({layer: 0})
  }
  return {frame, layer, lost, ready, runs, nudge, diagnostics, compare, choices, playground, calibrate, reload: () => location.reload()}
})()
