// Exchanges the local web token in the address for a cookie, then opens the UI of its environment.
"use strict";

const token = location.hash.slice(1);
// the token must not stay in the address or in the history
history.replaceState(null, "", location.pathname);

const finish = (accepted) => {
  if (accepted) {
    location.replace("/");
  } else {
    document.getElementById("waiting").hidden = true;
    document.getElementById("refused").hidden = false;
  }
};

if (token) {
  fetch("/aws_mwaa/login", { method: "POST", body: new URLSearchParams({ token }) }).then(
    (response) => finish(response.ok),
    () => finish(false),
  );
} else {
  finish(false);
}
