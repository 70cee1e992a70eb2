/**
 * A legacy stdio server is a process for each set of capabilities: whichever of them an agent's calls run in is
 * subscribed to what agents listen for, and what it tells is heard.
 */
import { expect, test } from "bun:test";
import { emptyFilter } from "../../src/protocol/listen-filter.ts";
import type { ServerChange } from "../../src/servers/client.ts";
import { callTool, connectServer, needText } from "../support/connected-server.ts";
import { until } from "../support/deadline.ts";

const stdioMain = new URL("../support/fake-servers/stdio-main.ts", import.meta.url).pathname;
const command = process.execPath;

for (const comesFirst of ["the process", "the listener"] as const) {
  test(`every process of a server tells what is listened for; ${comesFirst} comes first`, async () => {
    await using server = connectServer({
      kind: "stdio",
      command,
      args: [stdioMain, "v1"],
      environment: {},
      workingDirectory: undefined,
    });
    const { client } = server;
    const seenThere = async () => needText(await callTool(client, "seen", {}));
    if (comesFirst === "the process") await seenThere();
    const heard: ServerChange[] = [];
    const filter = { ...emptyFilter, resourceSubscriptions: ["note:///1"] };
    const listening = client.listen(filter, (change) => void heard.push(change));
    expect(await listening.honoured).toEqual(filter);
    await until("its subscription", async () =>
      (await seenThere()).includes("subscribe:note:///1"),
    );
    await callTool(client, "change", { uri: "note:///1" });
    await until("the change", () => heard.length > 0);
    expect(heard).toEqual([expect.objectContaining({ kind: "resource", uri: "note:///1" })]);
    listening.close();
    await until("its end", async () => (await seenThere()).includes("unsubscribe:note:///1"));
  });
}
