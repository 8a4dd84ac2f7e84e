// What the pages of both dialects share: elements, the grid of runs and tasks, polling, a toast.

export const h = (tag, props = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
};

export const state = (value, text) =>
  h("span", { class: "state", "data-state": value || "none" }, text ?? value ?? "no status");

export const when = (iso) => (iso ? new Date(iso).toLocaleString() : "–");

const seconds = (run) =>
  run.start ? Math.max(1, (new Date(run.end || Date.now()) - new Date(run.start)) / 1000) : 0;

export const lasted = (run) => (run.start ? `${Math.round(seconds(run))} s` : "–");

export const say = (text) => {
  const place = document.getElementById("said");
  place.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { place.textContent = ""; }, 6000);
};

// Calls `act` now and then again some time after it has ended, while somebody looks.
export const poll = (act, pause) => {
  let timer, ended = false;
  const turn = async () => {
    clearTimeout(timer);
    if (!document.hidden) {
      try { await act(); } catch (failure) { say(`Not up to date: ${failure.message}`); }
    }
    if (!ended) timer = setTimeout(turn, pause);
  };
  turn();
  return { now: turn, end: () => { ended = true; clearTimeout(timer); } };
};

// `runs`, oldest first: {id, state, type, date, start, end, tasks: {task id: {state, start, end}}}.
export const grid = (tasks, runs, picked, pick) => {
  const longest = Math.max(1, ...runs.map(seconds));
  const same = (run, task) => picked && picked.run === run && picked.task === task;
  const button = (kind, run, task, value, style) => h("button", {
    class: kind, style, "data-state": value || "none", type: "button",
    "aria-pressed": same(run.id, task) ? "true" : "false",
    "aria-label": `${task ?? "run"}, ${run.id}: ${value || "no status"}`,
    title: `${run.id}\n${task ? `${task}: ` : ""}${value || "no status"}`,
    onclick: () => pick({ run: run.id, task }),
  });
  const head = runs.map((run) => h("td", {},
    button("run", run, undefined, run.state, `height:${Math.round(10 + 78 * seconds(run) / longest)}px`)));
  const rows = tasks.map((task) => h("tr", {},
    h("th", { scope: "row" }, task),
    runs.map((run) => h("td", {}, button("cell", run, task, run.tasks[task]?.state)))));
  return h("table", { class: "grid" },
    h("thead", {}, h("tr", {}, h("th", { scope: "row" }, "Duration"), head)),
    h("tbody", {}, rows));
};

export const legend = () => h("p", { class: "legend" },
  ["success", "failed", "running", "queued"].map((value) => state(value)));

// What stands beside the grid about the run or task that was picked.
export const details = (run, task, link) => {
  const shown = task ? { ...run.tasks[task] } : run;
  const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  return [
    h("h2", {}, task ?? "Run"),
    h("dl", {},
      fact("State", state(shown.state)),
      fact("Run", h("span", { class: "mono" }, run.id)),
      fact("Type", run.type),
      fact("Started", when(shown.start)),
      fact("Duration", lasted(shown))),
    task ? h("a", { class: "button", href: link, "data-log": task }, "Log") : "Pick a task to see its log.",
  ];
};
