# "Using a curl script": call-mwaa-apis-cli.html
CLI_JSON=$(aws mwaa create-cli-token --region eu-west-1 --name YOUR_ENVIRONMENT_NAME)
CLI_TOKEN=$(echo "$CLI_JSON" | jq -r '.CliToken')
WEB_SERVER_HOSTNAME=$(echo "$CLI_JSON" | jq -r '.WebServerHostname')
CLI_RESULTS=$(curl --request POST "https://$WEB_SERVER_HOSTNAME/aws_mwaa/cli" \
  --header "Authorization: Bearer $CLI_TOKEN" \
  --header "Content-Type: text/plain" \
  --data-raw "dags trigger YOUR_DAG_NAME")
echo "Output:"
echo "$CLI_RESULTS" | jq -r '.stdout' | base64 --decode
echo "Errors:"
echo "$CLI_RESULTS" | jq -r '.stderr' | base64 --decode
