/** What happens while a tool runs: progress, cancellation, log messages; and tools that run as tasks. */
import assert from "node:assert/strict";
import { until } from "../../support/deadline.ts";
import type { MatrixClient } from "../clients/client.ts";
import type { Values } from "../servers/script.ts";
import { type Feature, newKey, textOf } from "./feature.ts";

export const progress: Feature = {
  letter: "G",
  name: "progress",
  async prove(client) {
    const steps: Values[] = [];
    const key = newKey();
    const onprogress = (step: Values) => {
      steps.push(step);
      client.callTool("release", { key }).catch(() => {});
    };
    const answer = await client.callTool("steps", { key, count: 3 }, { onprogress });
    assert.equal(textOf(answer), "3 steps");
    const expected = [1, 2, 3].map((step) => ({
      progress: step,
      total: 3,
      message: `step ${step}`,
    }));
    assert.deepEqual(steps, expected);
    const errors = client.errors.length;
    assert.equal(textOf(await client.callTool("steps", { count: 2 })), "2 steps");
    // An SDK reports progress of a call that did not ask for it.
    assert.deepEqual(client.errors.slice(errors), []);
    assert.equal(steps.length, 3);
  },
};

export const cancellation: Feature = {
  letter: "X",
  name: "cancellation",
  async prove(client) {
    const [taken, kept] = [newKey(), newKey()];
    const leaving = new AbortController();
    const { signal } = leaving;
    const cancelled = client.callTool("slow", { key: taken }, { signal }).then(
      (answer) => `answered ${JSON.stringify(answer)}`,
      () => "rejected",
    );
    const other = client.callTool("slow", { key: kept });
    other.catch(() => {});
    await Promise.all([taken, kept].map((key) => untilState(client, key, "running")));
    leaving.abort("no longer wanted");
    assert.equal(await cancelled, "rejected");
    await untilState(client, taken, "cancelled");
    // The call beside it goes on.
    await client.callTool("release", { key: kept });
    assert.equal(textOf(await other), "released");
  },
};

async function untilState(client: MatrixClient, key: string, wanted: string): Promise<void> {
  await until(`${key} is ${wanted}`, async () => {
    return textOf(await client.callTool("state", { key })) === wanted;
  });
}

export const logging: Feature = {
  letter: "L",
  name: "logging",
  async prove(client) {
    const logs = () => client.heard.filter(({ method }) => method === "notifications/message");
    if (client.isModern) {
      // Without a level in its request, a modern client wants none.
      assert.equal(textOf(await client.callTool("log")), "logged");
      assert.deepEqual(logs(), []);
    }
    const before = logs().length;
    await client.logAt("warning");
    assert.equal(textOf(await client.callTool("log")), "logged");
    await until("two lines", () => logs().length >= before + 2);
    const lines = logs()
      .slice(before)
      .map(({ params: { level, logger, data } }) => ({ level, logger, data }));
    const expected = ["warning", "error"].map((level) => ({
      level,
      logger: "matrix",
      data: `a line of ${level}`,
    }));
    assert.deepEqual(lines, expected);
  },
};

export const tasks: Feature = {
  letter: "K",
  name: "tasks",
  /** No client here speaks of tasks to the gateway: a tool that only runs as one is run to its end. */
  async prove(client) {
    assert.equal(client.serverCapabilities().tasks, undefined);
    const job = (await client.listTools()).find(({ name }) => name === "job");
    assert.ok(job !== undefined, "no tool job");
    assert.equal((job.execution as Values | undefined)?.taskSupport, undefined);
    const key = newKey();
    assert.equal(textOf(await client.callTool("job", { key })), `job ${key} done`);
  },
};
