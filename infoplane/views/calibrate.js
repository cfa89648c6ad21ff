// The Calibrate page: readings on twins of a layer as a picture and a table, and the standing table.
"use strict"
Object.assign(infoplane, (() => {
  const {first, element, count, ask, keep_only, figure_in, table} = infoplane.page, {plot, TINTS} = infoplaneCharts
  const MARKS = ["●", "■", "▲", "◆", "▼", "○", "□", "△"]  // so that no two differ by colour alone
  const id = (name) => document.getElementById(name), form = id("calibration")
  const signed = (v, digits = 3) => v == null ? "–" : v.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−")

  // -- twins of a layer ----------------------------------------------------------------------------
  const place = () => ({layer: Number(form.layer.value), step: Number(form.step.value), target: form.target.value})
  function fit() {  // only estimators that can answer the question asked
    for (const box of form.querySelectorAll("[name=estimator]")) {
      const takes = box.dataset.targets.split(" ").includes(form.target.value)
      box.disabled = !takes
      box.parentElement.title = takes ? "" : "It needs a discrete first variable: it cannot relate a continuous V to the layer."
    }
    id("about-target").textContent = form.target.value === "Y" ? "Y: as many classes, and as large, as in the run." : "X: a continuous V of 2 dimensions stands for the input. For the input itself, I(X;T) of a deterministic layer has no finite truth to compare with."
  }
  function calibrate(number, answer) {
    if (answer.place && String(answer.place) !== String(Object.values(place()))) return  // the reader has gone on
    form.querySelector("button").disabled = false
    id("refused").textContent = answer.error ?? ""
    const readings = answer.readings ?? [], good = readings.filter((r) => r.mean != null)
    keep_only(id("readings"), good.length ? 1 : 0)
    id("verdicts").replaceChildren(...verdicts(good, answer.here ?? {}))
    id("reading-table").replaceChildren()
    const name = form.target.value === "Y" ? "I(T;Y)" : "I(V;T)"
    id("hint").textContent = answer.error ? "" : readings.length ? `Twins of ${form.layer.selectedOptions[0].textContent} at step ${count(Number(answer.about.step))}: ${count(answer.about.n)} samples, ${count(answer.about.d)} dimensions, ${answer.twins} twins for each truth. On the dashed line an estimator reads what is true; bars show the standard deviation over twins.` : "This layer was not calibrated yet at this step. Choose estimators and press measure: it takes seconds to a minute."
    if (!readings.length) return
    if (good.length) picture(good, name)
    const last = readings.at(-1)
    id("reading-table").append(table([["estimator", false], ["true, bits", true], ["read, bits", true], ["bias, bits", true], ["spread, bits", true], ["seconds a call", true]],
      readings.map((r) => r.mean == null ? [[r.estimator, element("small", r.note, {title: r.note})], signed(r.truth), "–", "–", "–", "–"] : [r.estimator, signed(r.truth), signed(r.mean), signed(r.bias), signed(r.spread), r.seconds == null ? "–" : r.seconds.toPrecision(2)]),
      {class: "list matrix", "aria-label": `Readings of ${name} on twins`}))
  }
  function verdicts(good, here) {  // the answer in words, an estimator each
    return [...new Set(good.map((r) => r.estimator))].map((name) => {
      const mine = good.filter((r) => r.estimator === name), bits = (v) => `${Math.abs(v).toFixed(2)} bits`
      const biases = mine.map((r) => r.bias), off = mine.filter((r) => Math.abs(r.bias) > Math.max(0.05, 2 * r.spread)).map((r) => r.bias)
      const span = (list) => Math.max(...list) - Math.min(...list), blind = span(mine.map((r) => r.mean)) < 0.2 * span(mine.map((r) => r.truth))
      const ends = [Math.min, Math.max].map((end) => signed(end(...mine.map((r) => r.mean)), 2)), [low, high] = [Math.min(...biases), Math.max(...biases)]
      const said = blind ? `cannot tell these truths apart: it reads ${[...new Set(ends)].join(" to ")} bits whatever is true`
        : !off.length ? `reads what is true to within ${bits(Math.max(-low, high))}`
        : off.every((b) => b > 0) ? `reads too much, by up to ${bits(high)}` : off.every((b) => b < 0) ? `reads too little, by up to ${bits(low)}` : `is off by ${signed(low, 2)} to +${bits(high)}`
      const own = name in here ? ` In the run itself it reads ${signed(here[name], 2)} bits here.` : ""
      const row = element("li", ""), level = blind ? "ERROR" : off.length ? "WARN" : "OK"
      row.append(element("span", {OK: "sound", WARN: "biased", ERROR: "blind"}[level], {class: "level", "data-level": level}), element("span", `${name} ${said}.${own}`))
      return row
    })
  }
  function picture(good, name) {
    const names = [...new Set(good.map((r) => r.estimator))], top = Math.max(...good.map((r) => r.truth), 0.1)
    const [caption, canvas] = figure_in(id("readings"), 0), legend = element("span", "", {class: "legend"})
    const marks = [{kind: "line", x: [0, top], y: [0, top], style: "stroke:var(--ip-muted);stroke-dasharray:4 4;stroke-width:1.2"}]
    names.forEach((estimator, i) => {
      const mine = good.filter((r) => r.estimator === estimator), tint = TINTS[i % TINTS.length], sign = MARKS[i % MARKS.length]
      const key = element("span", ` ${estimator}`), dot = element("i", sign, {"aria-hidden": "true"})
      dot.style.color = tint
      key.prepend(dot)
      legend.append(key)
      marks.push({kind: "line", x: mine.map((r) => r.truth), y: mine.map((r) => r.mean), style: `stroke:${tint}`})
      for (const r of mine) marks.push({kind: "line", x: [r.truth, r.truth], y: [r.mean - r.spread, r.mean + r.spread], style: `stroke:${tint};stroke-width:1`})
      marks.push({kind: "text", x: mine.map((r) => r.truth), y: mine.map((r) => r.mean), dx: 9 * (i - (names.length - 1) / 2), text: mine.map(() => sign), title: mine.map((r) => `${estimator}: ${signed(r.mean)} bits where ${signed(r.truth)} are true`), style: `fill:${tint};font-size:13px`})
    })
    caption.replaceChildren("What is read, what is true", element("small", `${name} in bits`), legend)
    plot(canvas, {height: 320, x: {label: "true information in bits", low: 0}, y: {label: "read, in bits", title: true}, says: `readings of ${name} against the truth`, marks})
  }

  // -- the standing table --------------------------------------------------------------------------
  function standing() {
    const {about, tables} = first.standing
    id("about-standing").textContent = about
    id("standing").replaceChildren(...tables.flatMap((part) => {
      const rows = part.rows.map((row) => [[row.name, element("small", row.about)], signed(row.truth, 2), ...row.cells.map((cell) => {
        if (cell.bias == null) return element("span", "–", {class: "bias none", title: cell.note})
        const made = element("span", signed(cell.bias, 2), {class: "bias", title: `reads ${signed(cell.mean)} bits where ${signed(row.truth)} are true; spread ${signed(cell.spread)} bits; ${cell.seconds.toPrecision(2)} s a call`})
        made.dataset.sign = cell.bias < 0 ? "minus" : "plus"
        made.style.setProperty("--size", Math.min(1, Math.abs(cell.bias) / first.standing.full))
        return made
      })])
      const made = table([["task", false], ["true, bits", true], ...part.estimators.map((name) => [name, true])], rows, {class: "list standing", "aria-label": `Bias in bits: ${part.title}`})
      const box = element("div", "", {class: "scroller", tabindex: "0", role: "region", "aria-label": part.title})
      box.append(made)
      return [element("h3", part.title), element("p", part.words, {class: "hint"}), box]
    }))
  }

  if (form) {
    form.addEventListener("change", ({target}) => {
      if (target.name === "target") fit()
      if (target.name !== "estimator") ask(place(), true)
    })
    form.addEventListener("submit", (event) => {
      event.preventDefault()
      const estimators = [...form.querySelectorAll("[name=estimator]:checked:not(:disabled)")].map((box) => box.value)
      id("refused").textContent = estimators.length ? "" : "Choose at least one estimator."
      if (!estimators.length) return
      form.querySelector("button").disabled = true
      id("hint").textContent = "Twins are being drawn and read …"
      ask({...place(), estimators}, true)
    })
    fit()
    infoplane.page.begin(() => ask(place(), true))
  }
  if (id("standing")) standing()
  return {calibrate}
})())
