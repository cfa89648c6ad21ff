// The Runs page: a table that is sent again whenever a run changes.
"use strict"
Object.assign(infoplane, (() => {
  const {first, element, count, ago} = infoplane.page
  const id = (name) => document.getElementById(name)
  let known = first.runs ?? []
  const address = (run, page) => `?${new URLSearchParams({...(page && {page}), run: run.id})}`
  function row_of(run) {
    const row = element("tr", ""), name = element("td", ""), state = element("td", ""), created = element("td", "", {class: "n"}), pages = element("td", "", {class: "pages"})
    name.append(run.open ? element("a", run.name, {href: address(run)}) : element("span", run.name), element("small", run.about, {title: run.about}))
    state.append(element("span", run.state, {class: "chip", "data-state": run.state}))
    if (run.reason) state.append(element("small", run.reason, {title: run.reason}))
    if (run.created) created.append(element("time", ago((Date.now() - Date.parse(run.created)) / 1000), {datetime: run.created, title: new Date(run.created).toLocaleString("en")}))
    if (run.open) pages.append(...[["compare", "Compare"], ["diagnostics", "Diagnostics"], ["calibrate", "Calibrate"]].map(([page, text]) =>
      element("a", text, {href: page === "compare" ? `?${new URLSearchParams({page, runs: run.id})}` : address(run, page), "aria-label": `${text}: ${run.name}`})))
    row.append(name, state, element("td", count(run.last_step), {class: "n"}), element("td", count(run.snapshots), {class: "n"}), created, pages)
    return row
  }
  function runs(rows) {
    known = rows ?? known
    const text = id("search").value, wanted = text.toLowerCase().split(/\s+/).filter(Boolean)
    const shown = known.filter((run) => wanted.every((word) => run.text.includes(word)))
    const body = id("runs"), focused = document.activeElement?.getAttribute?.("href")
    body.replaceChildren(...shown.map(row_of))
    body.parentElement.hidden = shown.length === 0
    if (focused) body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus()
    id("nothing").hidden = shown.length > 0
    id("none").hidden = known.length > 0
    id("no-match").hidden = known.length === 0
    id("shown").textContent = !known.length ? "" : shown.length === known.length ? `${count(known.length)} ${known.length === 1 ? "run" : "runs"}` : `${count(shown.length)} of ${count(known.length)} runs`
    const here = new URLSearchParams({page: "runs", ...(text && {search: text})})
    history.replaceState(null, "", `?${here}`)
  }
  id("search").value = new URLSearchParams(location.search).get("search")?.slice(0, 200) ?? ""
  id("search").addEventListener("input", () => runs())
  runs()
  setInterval(() => runs(), 30000)  // "3 minutes ago" goes on by itself
  return {runs}
})())
