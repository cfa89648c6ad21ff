// The Playground page: a form, files of the reader's own, and the trainings that were started.
"use strict"
Object.assign(infoplane, (() => {
  const {first, element, count, ask, keep_only, options} = infoplane.page
  const CHUNK = 384 * 1024  // bytes of a file in one message, below the server's limit in base64
  const STRENGTH = {l2: 0.001, dropout: 0.2, noise: 0.1, cs_ib: 1, vib: 0.01, nib: 0.01}  // a start for each regulariser
  const id = (name) => document.getElementById(name), form = id("recipe")
  let again = null, sending = null, mark = 0, announced = 0, jobs_known = []

  function playground(number, answer) {
    clearTimeout(again)
    if (answer.error) {
      refuse(answer.error)
      if (sending) stop_sending(answer.error)
      again = setTimeout(() => ask({}, true), 1500)
      return
    }
    if (answer.started) id("refused").textContent = ""
    if (answer.files) files(answer.files)
    if (sending) send(answer.upload)
    jobs(answer.jobs)
    if (!sending && answer.jobs.some((job) => job.state === "running" || !job.run)) again = setTimeout(() => ask({}, true), 1000)
  }

  function refuse(words) {
    id("refused").textContent = words
    id("refused").scrollIntoView({block: "nearest"})
  }

  // -- trainings -----------------------------------------------------------------------------------
  function jobs(told) {
    id("no-jobs").hidden = told.length > 0
    const running = told.filter((job) => job.state === "running").length
    id("running").textContent = `${running} of ${first.limit} running`
    for (const job of told) {  // said aloud once, when it changes; progress is not
      const before = jobs_known.find((known) => known.number === job.number)
      if (before && before.state !== job.state) id("said").textContent = `${job.folder} ${job.state}`
    }
    jobs_known = told
    const list = id("jobs")
    keep_only(list, told.length)
    told.forEach((job, i) => {
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
        if (job.run) head.append(element("span", job.state === "running" ? "open it: the plane draws itself" : "", {class: "hint"}))
        if (job.state === "running") {
          const cancel = element("button", "cancel", {type: "button", class: "button", "aria-label": `cancel ${job.folder}`})
          cancel.addEventListener("click", () => { cancel.disabled = true; ask({cancel: job.number}, true) })
          head.append(cancel)
        }
      }
      bar.value = job.done
      bar.setAttribute("aria-label", `${job.folder}: epoch ${job.epoch} of ${job.epochs}`)
      words.textContent = [`epoch ${count(job.epoch)} of ${count(job.epochs)}`, job.said, job.what].filter(Boolean).join(" · ")
      error.textContent = job.error
    })
  }

  // -- files of the reader's own -------------------------------------------------------------------
  function files(told) {
    for (const kind of ["images", "labels"]) {
      const select = form[kind], before = select.value, mine = told.filter((file) => file.kind === kind)
      options(select, mine.length ? mine.map((file) => [file.id, file.name]) : [["", "none yet: add a file below"]], before)
    }
  }
  const announce = () => ask({upload: sending.name, size: sending.size, mark}, true)
  function send(state) {
    const bar = id("sending").querySelector("progress")
    if (state.mark !== mark) {  // an answer from before the file was announced, or one that got lost
      if (++announced > 3) return stop_sending("The server did not take the file.")
      return announce()
    }
    if (state.kept) {
      for (const kind of ["images", "labels"]) if ([...form[kind].options].some((o) => o.value === state.kept)) form[kind].value = state.kept
      id("said").textContent = `${sending.name} was added`
      return stop_sending("")
    }
    bar.value = state.received / sending.size
    const reader = new FileReader(), offset = state.received
    reader.onload = () => ask({chunk: reader.result.slice(reader.result.indexOf(",") + 1), offset}, true)
    reader.onerror = () => stop_sending("The file cannot be read.")
    reader.readAsDataURL(sending.slice(offset, offset + CHUNK))
  }
  function stop_sending(words) {
    sending = null
    id("sending").hidden = true
    id("file").value = ""
    id("file").disabled = false
    if (words) refuse(words)
  }
  function choose({target}) {
    const file = target.files[0]
    if (!file) return
    id("refused").textContent = ""
    if (file.size > first.largest || file.size === 0) return stop_sending(`A file must have 1 byte to ${first.largest / 2 ** 20} MiB; compress it with gzip.`)
    sending = file
    mark++
    announced = 1
    target.disabled = true
    id("sending").hidden = false
    clearTimeout(again)
    announce()
  }

  // -- the form ------------------------------------------------------------------------------------
  const field = (name) => form.querySelector(`[data-field=${name}]`)
  function fit(event) {
    const {task, regulariser} = form
    for (const [name, only] of Object.entries(first.only)) field(name).hidden = task.value !== only
    for (const name of ["images", "labels", "file"]) field(name).hidden = task.value !== "idx"
    field("strength").hidden = regulariser.value === "none"
    id("objective").textContent = first.objectives[regulariser.value]
    if (event?.target === regulariser) form.strength.value = STRENGTH[regulariser.value] ?? 0
    const usual = first.usual[task.value]
    if (event?.target === task) for (const [name, value] of Object.entries(usual)) form[name].value = value
  }
  form.addEventListener("change", fit)
  id("file").addEventListener("change", choose)
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    const shown = [...new FormData(form)].filter(([name, value]) => typeof value === "string")
    id("refused").textContent = ""
    ask({start: Object.fromEntries(shown.map(([name, value]) => [name, first.numbers.includes(name) ? Number(value) : value]))}, true)
  })
  fit()
  infoplane.page.begin(() => ask({list: true}, true))
  return {playground}
})())
