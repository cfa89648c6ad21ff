// What every page needs: messages from the server, the address, a lost connection; and the pages
// that are plain HTML. Text from a run becomes text nodes only. Figures are controller.js's.
"use strict"
window.infoplane = (() => {
  const first = JSON.parse(document.getElementById("ip-first").textContent)
  const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)

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
    kit.view.properties.data.change.connect(() => address(kit.view.data))
    Bokeh.documents.push(figures)
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

  // -- Runs --------------------------------------------------------------------------------------
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
  let known = first.runs ?? []
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

  return {frame, lost, runs, reload: () => location.reload()}
})()
