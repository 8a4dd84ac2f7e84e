// Copy buttons: shown only where a script can copy; the pages work without them.
"use strict";

if (navigator.clipboard) {
  const said = document.getElementById("said");
  document.documentElement.classList.add("can-copy");
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("button[data-copy]");
    if (!button || "keep" in button.dataset) return;
    const label = button.textContent;
    const text = document.getElementById(button.dataset.copy);
    // an update of the page leaves it as it is meanwhile
    button.dataset.keep = "";
    let word = "Copied";
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      word = "Select and copy";
      getSelection().selectAllChildren(text);
    }
    button.textContent = word;
    said.textContent = word;
    setTimeout(() => {
      button.textContent = label;
      said.textContent = "";
      delete button.dataset.keep;
    }, 2000);
  });
}
