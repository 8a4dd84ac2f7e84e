// Keeps the overview current by server-sent events while its tab is visible. The page works without.
"use strict";

const PARTS = ["activity", "environments", "fleet", "refusals"];
// so long after the gateway has refused the events, as after its restart, the page is loaded again
const RELOAD_AFTER = 15000;

const live = document.getElementById("live");
let source;

// Makes a node like another one, and keeps what is the same: the focus, a selection, what is unfolded.
const update = (node, next) => {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.data !== next.data) node.data = next.data;
  } else if (!("keep" in node.dataset)) {
    for (const { name } of [...node.attributes]) {
      if (name !== "open" && !next.hasAttribute(name)) node.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      if (node.getAttribute(name) !== value) node.setAttribute(name, value);
    }
    updateChildren(node, next);
  }
};

const isAlike = (one, other) =>
  one.nodeName === other.nodeName &&
  one.id === other.id &&
  one.getAttribute?.("class") === other.getAttribute?.("class");

const updateChildren = (node, next) => {
  let here = node.firstChild;
  for (const child of [...next.childNodes]) {
    let same = here;
    while (same && !isAlike(same, child)) same = same.nextSibling;
    if (!same) {
      node.insertBefore(child, here);
      continue;
    }
    // what was before it has gone
    while (here !== same) here = removed(here);
    update(same, child);
    here = same.nextSibling;
  }
  while (here) here = removed(here);
};

const removed = (node) => {
  const next = node.nextSibling;
  node.remove();
  return next;
};

const show = (isLive) => live.classList.toggle("on", isLive);

const close = () => {
  if (source) source.close();
  source = undefined;
  show(false);
};

const open = () => {
  if (source || document.hidden) return;
  source = new EventSource(live.dataset.events);
  source.onopen = () => show(true);
  source.onerror = () => {
    show(false);
    // the browser itself tries again unless the gateway has refused
    if (source.readyState === EventSource.CLOSED) {
      close();
      setTimeout(() => document.hidden || location.reload(), RELOAD_AFTER);
    }
  };
  for (const part of PARTS) {
    source.addEventListener(part, ({ data }) => {
      const template = document.createElement("template");
      template.innerHTML = data;
      updateChildren(document.getElementById(part), template.content);
    });
  }
};

document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close);
addEventListener("pageshow", open);
