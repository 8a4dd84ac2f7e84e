// Node's fetch as it comes: it sends Sec-Fetch-Mode and nothing else of a browser. The arguments
// are the base URL and the base of the REST API; each reply is one line, the status first.

const [base, api] = process.argv.slice(2);

async function say(path, options) {
  const reply = await fetch(base + path, options);
  const text = await reply.text();
  console.log(reply.status, text.replaceAll(/\s+/g, " ").trim());
}

const json = { "content-type": "application/json" };
const pool = JSON.stringify({ name: "node", slots: 3, include_deferred: false });
await say(`${api}/version`);
await say("/aws_mwaa/cli", {
  method: "POST",
  headers: { "content-type": "text/plain", accept: "text/plain" },
  body: "version",
});
await say(`${api}/pools`, { method: "POST", headers: json, body: pool });
await say(`${api}/pools/node`, { method: "DELETE" });
