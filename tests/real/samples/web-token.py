# "Using a Python script": call-mwaa-apis-web.html
import boto3

mwaa = boto3.client("mwaa")
response = mwaa.create_web_login_token(Name="YOUR_ENVIRONMENT_NAME")
url = "https://{0}/aws_mwaa/aws-console-sso?login=true#{1}"
print(url.format(response["WebServerHostname"], response["WebToken"]))
