// The pages of the Airflow 2 dialect: pausing, counting runs, the grid that polls, the log.

import { details, grid, legend, poll, say, state } from "./common.js";

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content;
const headers = { "X-CSRFToken": meta("csrf-token") };

const fetched = async (url, options = {}) => {
  const answer = await fetch(url, options);
  if (!answer.ok || answer.redirected) {
    throw new Error(answer.redirected ? "you are signed out" : `the server says ${answer.status}`);
  }
  return answer;
};

for (const toggle of document.querySelectorAll(".switch")) {
  toggle.addEventListener("click", async () => {
    const active = toggle.getAttribute("aria-checked") === "true";
    const query = new URLSearchParams({ is_paused: active, dag_id: toggle.dataset.dag });
    try {
      await fetched(`/paused?${query}`, { method: "POST", headers });
      toggle.setAttribute("aria-checked", String(!active));
    } catch (failure) {
      say(`${toggle.dataset.dag} stays as it is: ${failure.message}.`);
    }
  });
}

const counts = document.querySelectorAll("[data-counts]");
if (counts.length) {
  poll(async () => {
    const body = new URLSearchParams();
    counts.forEach((place) => body.append("dag_ids", place.dataset.counts));
    const stats = await (await fetched("/dag_stats", { method: "POST", headers, body })).json();
    for (const place of counts) {
      place.replaceChildren(...stats[place.dataset.counts].map((stat) => {
        const badge = state(stat.state, String(stat.count));
        badge.dataset.count = stat.count;
        badge.title = stat.state;
        return badge;
      }));
    }
  }, 3000);
}

const place = document.getElementById("grid");
if (place) {
  const dag = place.dataset.dag;
  const side = document.getElementById("details");
  let data, picked;
  const show = () => {
    const tasks = data.groups.children.map((task) => task.id);
    const runs = data.dag_runs.map((run) => ({
      id: run.run_id, state: run.state, type: run.run_type, start: run.start_date, end: run.end_date,
      tasks: Object.fromEntries(data.groups.children.map((task) => {
        const found = task.instances.find((instance) => instance.run_id === run.run_id) ?? {};
        return [task.id, { state: found.state, start: found.start_date, end: found.end_date }];
      })),
    }));
    const pick = (choice) => { picked = choice; show(); };
    place.replaceChildren(runs.length ? grid(tasks, runs, picked, pick) : "There are no runs yet.", legend());
    const run = runs.find((candidate) => candidate.id === picked?.run);
    if (run) {
      const query = new URLSearchParams({ dag_id: dag, run_id: run.id, task_id: picked.task ?? "" });
      side.replaceChildren(...details(run, picked.task, `/log?${query}`));
    }
  };
  poll(async () => {
    data = await (await fetched(`/object/grid_data?dag_id=${encodeURIComponent(dag)}&num_runs=25`)).json();
    show();
  }, 3000);
}

const log = document.getElementById("log");
if (log && log.dataset.ended !== "true") {
  const watch = poll(async () => {
    const got = await (await fetched(log.dataset.source)).json();
    log.textContent = got.message;
    if (got.metadata.end_of_log) watch.end();
  }, 2000);
}
