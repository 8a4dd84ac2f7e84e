// Copy buttons: shown only where a script can copy; the pages work without them.
"use strict";

if (navigator.clipboard) {
  const said = document.getElementById("said");
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const label = button.textContent;
    const text = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", async () => {
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
      }, 2000);
    });
  }
}
