// The single page of the Airflow 3 dialect: a list of DAGs, a grid, a log, and the framed pages.

import { details, grid, h, legend, poll, say, state } from "./common.js";

const base = document.baseURI;
const main = document.querySelector("main");
const scripted = document.documentElement.dataset.token === "script";

// Airflow 3.0 moves its token from the cookie to the storage; later ones leave it to the browser
if (scripted) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith("_token="));
  if (found) {
    localStorage.setItem("token", found.slice("_token=".length));
    document.cookie = "_token=; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/";
  }
}

const call = async (path, options = {}) => {
  const headers = { ...options.headers };
  const token = scripted && localStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(new URL(path, base), { ...options, headers });
  if (answer.ok) return answer;
  const detail = (await answer.json().catch(() => ({}))).detail;
  if (answer.status === 401 || detail === "Invalid JWT token") {
    if (scripted) localStorage.removeItem("token");
    const login = new URL("api/v2/auth/login", base);
    login.searchParams.set("next", location.href);
    location.replace(login);
  }
  throw new Error(typeof detail === "string" ? detail : `the server says ${answer.status}`);
};
const send = (path, method, body) =>
  call(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const enc = encodeURIComponent;
let watch;

const go = (path) => { history.pushState(null, "", new URL(path, base)); route(); };
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || link.dataset.plain !== undefined || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", () => route());

const trigger = (dag, after) => h("button", {
  class: "primary", "data-trigger": dag, onclick: async () => {
    try {
      await send(`api/v2/dags/${enc(dag)}/dagRuns`, "POST", { logical_date: null, conf: {} });
      await after();
    } catch (failure) { say(`${dag} was not triggered: ${failure.message}`); }
  },
}, "Trigger");

const toggle = (dag) => h("button", {
  class: "switch", role: "switch", "aria-checked": String(!dag.is_paused), "data-dag": dag.dag_id,
  "aria-label": `${dag.dag_id} is scheduled`, onclick: async (event) => {
    const button = event.currentTarget;
    const active = button.getAttribute("aria-checked") === "true";
    try {
      await send(`api/v2/dags/${enc(dag.dag_id)}`, "PATCH", { is_paused: active });
      button.setAttribute("aria-checked", String(!active));
    } catch (failure) { say(`${dag.dag_id} stays as it is: ${failure.message}`); }
  },
});

const list = () => {
  const rows = h("tbody");
  main.replaceChildren(
    h("h1", {}, "DAGs"), h("p", { class: "lead" }, "What this environment runs, and how it went lately."),
    h("div", { class: "card scroll" }, h("table", { class: "list" },
      h("thead", {}, h("tr", {}, ["", "DAG", "Schedule", "Latest runs", ""].map((name) => h("th", {}, name)))), rows)));
  watch = poll(async () => {
    const { dags } = await (await call("ui/dags?dag_runs_limit=14")).json();
    rows.replaceChildren(...dags.map((dag) => h("tr", {},
      h("td", {}, toggle(dag)),
      h("td", {}, h("a", { class: "name", href: `dags/${enc(dag.dag_id)}` }, dag.dag_id),
        h("div", { class: "sub" }, dag.description ?? dag.fileloc),
        dag.tags.map((tag) => h("span", { class: "tag" }, tag.name))),
      h("td", { class: "mono" }, dag.timetable_summary ?? "triggered"),
      h("td", {}, h("div", { class: "counts" }, dag.latest_dag_runs.slice(0, 8).reverse().map((run) => {
        const mark = state(run.state, "");
        mark.title = `${run.dag_run_id}: ${run.state}`;
        return mark;
      }))),
      h("td", {}, trigger(dag.dag_id, () => watch.now())))));
  }, 3000);
};

const one = (id) => {
  const place = h("div", { class: "card pad scroll" }, "…");
  const side = h("aside", { class: "card pad" }, "Pick a run or a task.");
  const head = h("div", { class: "head" });
  main.replaceChildren(head, h("div", { class: "split" }, place, side));
  let picked, data;
  const show = () => {
    const runs = data.runs.map((run) => ({
      id: run.dag_run_id, state: run.state, type: run.run_type, start: run.start_date, end: run.end_date,
      tasks: Object.fromEntries(run.task_instances.map((task) =>
        [task.task_id, { state: task.state, start: task.start_date, end: task.end_date }])),
    }));
    const pick = (choice) => { picked = choice; show(); };
    place.replaceChildren(runs.length ? grid(data.tasks, runs, picked, pick) : "There are no runs yet.", legend());
    const run = runs.find((candidate) => candidate.id === picked?.run);
    if (run) side.replaceChildren(...details(run, picked.task,
      `dags/${enc(id)}/runs/${enc(run.id)}/tasks/${enc(picked.task ?? "")}`));
  };
  call(`api/v2/dags/${enc(id)}`).then((answer) => answer.json()).then((dag) => head.replaceChildren(
    h("div", {}, h("h1", {}, dag.dag_id), h("p", { class: "sub" }, dag.description ?? dag.fileloc)),
    toggle(dag), trigger(dag.dag_id, () => watch.now()))).catch((failure) => say(failure.message));
  watch = poll(async () => {
    data = await (await call(`ui/grid/${enc(id)}?limit=25`)).json();
    show();
  }, 3000);
};

const log = (dag, run, task) => {
  const text = h("pre", { class: "log", id: "log", tabindex: "0" });
  main.replaceChildren(
    h("div", { class: "head" }, h("div", {}, h("h1", {}, `Log of ${task}`), h("p", { class: "sub mono" }, run)),
      h("a", { class: "button", href: `dags/${enc(dag)}` }, "Back to the grid")),
    h("div", { class: "card" }, text));
  const path = `api/v2/dags/${enc(dag)}/dagRuns/${enc(run)}/taskInstances/${enc(task)}`;
  watch = poll(async () => {
    const answer = await call(`${path}/logs/1`, { headers: { Accept: "application/x-ndjson" } });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const lines = [];
    let rest = "";
    for (;;) { // a line shows as soon as it is there
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts) {
        const line = JSON.parse(part);
        const level = line.level.toUpperCase();
        lines.push(h("span", { class: level }, `${line.timestamp}  ${level.padEnd(5)}  ${line.event}\n`));
      }
      text.replaceChildren(...lines);
    }
    const { state } = await (await call(path)).json();
    if (state === "success" || state === "failed") watch.end();
    else if (!lines.length) text.textContent = "Nothing has been logged yet.";
  }, 2000);
};

const route = () => {
  watch?.end();
  const root = new URL(base).pathname;
  const parts = location.pathname.slice(root.length).split("/").filter(Boolean).map(decodeURIComponent);
  for (const link of document.querySelectorAll("nav a")) {
    link.toggleAttribute("aria-current", (link.dataset.part ?? "dags") === (parts[0] ?? "dags"));
  }
  if (parts[0] === "dags" && parts[2] === "runs" && parts[4] === "tasks") log(parts[1], parts[3], parts[5]);
  else if (parts[0] === "dags" && parts[1]) one(parts[1]);
  else if (parts[0] === "security") {
    main.replaceChildren(h("div", { class: "card" },
      h("iframe", { src: new URL("auth/users/list/", base).href, title: "Users" })));
  } else list();
};

call("ui/auth/me").then((answer) => answer.json()).then((me) => {
  document.getElementById("who").textContent = me.username;
  document.getElementById("role").textContent = me.role;
  route();
}).catch((failure) => say(failure.message));
