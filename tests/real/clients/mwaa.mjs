// The AWS SDK for JavaScript, version 3. The arguments are the name of an environment and the login
// path of its Airflow version; each line is what one call returned.

import {
  CreateCliTokenCommand, CreateWebLoginTokenCommand, GetEnvironmentCommand, MWAAClient,
  ResourceNotFoundException, paginateListEnvironments,
} from "@aws-sdk/client-mwaa";

const [Name, login] = process.argv.slice(2);
const scheme = new URL(process.env.AWS_ENDPOINT_URL_MWAA).protocol;
const client = new MWAAClient({ disableHostPrefix: true });

const names = [];
for await (const page of paginateListEnvironments({ client, pageSize: 1 }, {})) {
  names.push(page.Environments);
}
console.log(JSON.stringify(names));
console.log((await client.send(new GetEnvironmentCommand({ Name }))).Environment.AirflowVersion);

const { CliToken, WebServerHostname } = await client.send(new CreateCliTokenCommand({ Name }));
const command = await fetch(`${scheme}//${WebServerHostname}/aws_mwaa/cli`, {
  method: "POST",
  headers: { "authorization": `Bearer ${CliToken}`, "content-type": "text/plain" },
  body: "version",
});
console.log(Buffer.from((await command.json()).stdout, "base64").toString().trim());

const { WebToken } = await client.send(new CreateWebLoginTokenCommand({ Name }));
const session = await fetch(`${scheme}//${WebServerHostname}${login}`, {
  method: "POST",
  body: new URLSearchParams({ token: WebToken }),
});
console.log(session.headers.get("set-cookie").split("=")[0]);

try {
  await client.send(new CreateCliTokenCommand({ Name: "nosuch" }));
} catch (error) {
  console.log(error instanceof ResourceNotFoundException, error.$metadata.httpStatusCode);
}
