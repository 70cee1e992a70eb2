/** Lines to paste name the real addresses; the token itself is only in the one that cannot read a file. */
import { expect, test } from "bun:test";
import * as snippets from "../../../src/cli/snippets.ts";

const facts = {
  agentsUrl: "http://127.0.0.1:8000",
  adminAddress: "127.0.0.1:50051",
  tokenFile: "/d/client.token",
  adminTokenFile: "/d/admin.token",
};

test("curl, WebSocket and grpcurl read the token from its file", () => {
  expect(snippets.renderCurl(facts)).toContain("Bearer $(cat /d/client.token)");
  expect(snippets.renderWebSocket(facts)).toContain("ws://127.0.0.1:8000/ws");
  expect(snippets.renderGrpcurl(facts)).toContain("Bearer $(cat /d/admin.token)");
});

test("the desktop client's JSON starts the bridge", () => {
  const { mcpServers } = JSON.parse(snippets.renderDesktop(facts));
  expect(mcpServers.gateway.args.slice(-5)).toEqual([
    "bridge",
    "--url",
    "http://127.0.0.1:8000/mcp",
    "--token-file",
    "/d/client.token",
  ]);
});

test("a client that speaks HTTP gets the URL and the token as a header", () => {
  const { mcpServers } = JSON.parse(
    snippets.renderDirect("http://127.0.0.1:8000/x/mcp", "mcpgw_t"),
  );
  expect(mcpServers.gateway).toEqual({
    type: "http",
    url: "http://127.0.0.1:8000/x/mcp",
    headers: { Authorization: "Bearer mcpgw_t" },
  });
});
