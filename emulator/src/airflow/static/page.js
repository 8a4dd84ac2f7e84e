// The page: DAGs and their last runs from the REST API, again every few seconds.

const { api, token } = document.documentElement.dataset;
const scripted = token === "script";
const element = (id) => document.getElementById(id);
const path = (...parts) => [api, ...parts.map(encodeURIComponent)].join("/");
let picked; // the run whose tasks are shown

// Airflow 3.0 moves its token from the cookie to the storage; later versions leave it in the cookie
const cookie = scripted && document.cookie.split("; ").find((pair) => pair.startsWith("_token="));
if (cookie) {
  localStorage.setItem("token", cookie.slice("_token=".length));
  document.cookie = "_token=; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/";
}

const call = async (url, options = {}) => {
  const stored = scripted && localStorage.getItem("token");
  const headers = { ...options.headers, ...(stored && { Authorization: `Bearer ${stored}` }) };
  const answer = await fetch(url, { ...options, headers });
  if (answer.ok) return answer;
  const { detail, title } = await answer.json().catch(() => ({}));
  if (answer.status === 401 || detail === "Invalid JWT token") {
    localStorage.removeItem("token");
    const login = api === "/api/v1" ? "/login/" : "/api/v2/auth/login";
    location.replace(`${login}?next=${encodeURIComponent(location.href)}`);
  }
  throw new Error(detail || title || `the web server answered ${answer.status}`);
};

const get = async (url) => (await call(url)).json();

const send = (method, url, body) =>
  call(url, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// Makes an element with these properties and children.
const make = (tag, properties, ...children) => {
  const made = document.createElement(tag);
  const { data, ...others } = properties;
  Object.assign(made.dataset, data);
  for (const [name, value] of Object.entries(others)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};

// Does what a click asks for, then shows how things are.
const act = (work) => async () => {
  try {
    await work();
    await refresh();
  } catch (failure) {
    report(failure);
  }
};

const report = ({ message }) => {
  element("problem").textContent = message;
  clearTimeout(report.timer);
  report.timer = setTimeout(() => { element("problem").textContent = ""; }, 6000);
};

const row = (dag, runs) => {
  const id = dag.dag_id;
  const pause = () => send("PATCH", path("dags", id), { is_paused: !dag.is_paused });
  const trigger = () => send("POST", path("dags", id, "dagRuns"), { conf: {}, logical_date: null });
  const schedule = dag.timetable_summary ?? dag.schedule_interval?.value ?? "only triggered";
  const squares = runs.slice(0, 10).reverse().map((run) => make("button", {
    type: "button", data: { state: run.state }, title: `${run.dag_run_id}: ${run.state}`,
    ariaLabel: `${run.dag_run_id}: ${run.state}`, ariaPressed: String(run.dag_run_id === picked?.dag_run_id),
    onclick: act(() => { picked = run; }),
  }));
  const active = make("button", {
    type: "button", role: "switch", ariaChecked: String(!dag.is_paused), ariaLabel: `${id} is active`, onclick: act(pause),
  });
  return make("tr", {},
    make("td", {}, active),
    make("td", {}, make("strong", {}, id), make("span", { className: "quiet" }, dag.description ?? dag.fileloc)),
    make("td", {}, schedule),
    make("td", {}, ...squares),
    make("td", {}, make("button", { type: "button", onclick: act(trigger) }, "Trigger")));
};

const log = (url) => async () => {
  const place = element("run").querySelector("pre");
  place.hidden = false;
  place.textContent = "";
  try {
    // Airflow 2 has text, Airflow 3 one JSON object a line; both show as they arrive
    const answer = await call(url, { headers: { Accept: "text/plain, application/x-ndjson" } });
    let rest = "";
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const entry = line.startsWith("{") ? JSON.parse(line) : undefined;
        place.append(entry ? `${entry.timestamp} ${entry.level.toUpperCase()} ${entry.event}\n` : `${line}\n`);
      }
    }
    place.append(place.textContent ? "" : "The task has logged nothing yet.");
  } catch (failure) {
    report(failure);
  }
};

const show = async ({ dag_id: id, dag_run_id: run }) => {
  const tasks = path("dags", id, "dagRuns", run, "taskInstances");
  const { task_instances: instances } = await get(tasks);
  const place = element("run");
  const before = place.dataset.run === run && place.querySelector("pre");
  place.dataset.run = run;
  place.hidden = false;
  place.replaceChildren(
    make("h2", {}, id),
    make("span", { className: "quiet" }, run),
    make("ul", {}, ...instances.map((task) => make("li", {},
      make("strong", {}, task.task_id),
      make("span", { data: { state: task.state ?? "none" } }, task.state ?? "no state"),
      make("button", { type: "button", onclick: log(`${tasks}/${encodeURIComponent(task.task_id)}/logs/1`) }, "Log")))),
    before || make("pre", { hidden: true, tabIndex: 0 }));
};

const refresh = async () => {
  const { dags } = await get(path("dags"));
  const runs = await Promise.all(dags.map((dag) =>
    get(`${path("dags", dag.dag_id, "dagRuns")}?order_by=-start_date&limit=10`)));
  if (picked) await show(picked);
  element("dags").replaceChildren(...dags.map((dag, index) => row(dag, runs[index].dag_runs)));
};

const poll = async () => {
  if (!document.hidden) await refresh().catch(report);
  setTimeout(poll, 3000);
};
poll();
