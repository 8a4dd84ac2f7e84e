# "Using a bash script": call-mwaa-apis-web.html
HOST=YOUR_HOST_NAME
URL="https://$HOST/aws_mwaa/aws-console-sso?login=true#"
WEB_TOKEN=$(aws mwaa create-web-login-token --name YOUR_ENVIRONMENT_NAME --query WebToken --output text)
echo "$URL$WEB_TOKEN"
