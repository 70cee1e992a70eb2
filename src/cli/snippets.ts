/**
 * Lines to paste: how to reach a gateway from curl, a WebSocket client, grpcurl and a desktop client. Pure text.
 */
import { selfCommand } from "./self.ts";

export interface SnippetFacts {
  readonly agentsUrl: string;
  readonly adminAddress: string;
  readonly tokenFile: string;
  readonly adminTokenFile: string;
}

/** Lists every tool in one stateless request of revision 2026-07-28. */
export function renderCurl({ agentsUrl, tokenFile }: SnippetFacts): string {
  const version = "2026-07-28";
  const message = {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/list",
    params: {
      _meta: {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": { name: "curl", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    },
  };
  return [
    `curl -s ${agentsUrl}/mcp -H "Authorization: Bearer $(cat ${tokenFile})" \\`,
    `  -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\`,
    `  -H 'MCP-Protocol-Version: ${version}' -H 'Mcp-Method: tools/list' \\`,
    `  -d '${JSON.stringify(message)}'`,
  ].join("\n");
}

/** Opens a WebSocket; websocat reads messages from the terminal, one a line. */
export function renderWebSocket({ agentsUrl, tokenFile }: SnippetFacts): string {
  const url = agentsUrl.replace(/^http/, "ws");
  return `websocat --protocol mcp -H "Authorization: Bearer $(cat ${tokenFile})" ${url}/ws`;
}

export function renderGrpcurl({ adminAddress, adminTokenFile }: SnippetFacts): string {
  return [
    `grpcurl -plaintext -H "authorization: Bearer $(cat ${adminTokenFile})" \\`,
    `  -d '{"page_size": 5}' ${adminAddress} mcp_gateway.admin.v1.AuditService/QueryRecords`,
  ].join("\n");
}

/** `mcpServers` of Claude Desktop and the like: they start the bridge, which reaches the gateway. */
export function renderDesktop({ agentsUrl, tokenFile }: SnippetFacts): string {
  const [command, ...args] = selfCommand;
  const bridge = ["bridge", "--url", `${agentsUrl}/mcp`, "--token-file", tokenFile];
  return JSON.stringify(
    { mcpServers: { gateway: { command, args: [...args, ...bridge] } } },
    null,
    2,
  );
}

/** For clients that reach a server by URL and can send a header. */
export function renderDirect(url: string, token: string): string {
  const headers = { Authorization: `Bearer ${token}` };
  return JSON.stringify({ mcpServers: { gateway: { type: "http", url, headers } } }, null, 2);
}

/** The same gateway, asked by this program. */
export function renderOwn({ agentsUrl, tokenFile }: SnippetFacts): string {
  return `${selfCommand.join(" ")} list-tools all --url ${agentsUrl} --token-file ${tokenFile}`;
}
