"""Starts an MCP server on its standard streams, asks for its tools and calls those named; prints
what they answered as JSON. The arguments are `TOOL=ARGUMENTS`… `--` and the server's command."""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main():
    split = sys.argv.index("--")
    calls, (command, *arguments) = sys.argv[1:split], sys.argv[split + 1 :]
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        tools = await session.list_tools()
        told = {"tools": [tool.name for tool in tools.tools]}
        for call in calls:
            name, _, given = call.partition("=")
            result = await session.call_tool(name, json.loads(given))
            # some servers answer with text, some with JSON alone
            text = "\n".join(part.text for part in result.content)
            told[name] = text or json.dumps(result.structuredContent)
    print(json.dumps(told))


asyncio.run(main())
