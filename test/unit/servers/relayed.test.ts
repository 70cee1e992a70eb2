/** What of a server's notifications an agent gets to see. */
import { expect, test } from "bun:test";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";
import { progressId, toRelayed } from "../../../src/servers/relayed.ts";
import { requestOf } from "./support.ts";

const progress = '{"progressToken":7,"progress":1.0,"message":"m"}';
const log = '{"level":"warning","data":"x"}';

test.each<[string, string, string, object, string | undefined]>([
  [
    "progress, wanted",
    "progress",
    progress,
    { progressTokenText: '"t"' },
    '{"progressToken":"t","progress":1.0,"message":"m"}',
  ],
  ["progress, not wanted", "progress", progress, {}, undefined],
  ["log, wanted", "message", log, { logLevel: "warning" }, log],
  ["log, below the level", "message", log, { logLevel: "error" }, undefined],
  ["log, not wanted", "message", log, {}, undefined],
  ["log, no level of ours", "message", '{"level":"loud"}', { logLevel: "debug" }, undefined],
  ["something else", "resources/updated", "{}", { logLevel: "debug" }, undefined],
])("%s", (_name, kind, params, envelope, expected) => {
  const method = `notifications/${kind}`;
  const message = toRelayed(
    { kind: "notification", method, params: readObject(params) },
    requestOf("tools/call", "{}", envelope).envelope,
  );
  expect(message && objectText(message.params)).toBe(expected as string);
});

test.each([
  ['{"progressToken":7}', 7],
  ['{"progressToken":"x"}', undefined],
  ["{}", undefined],
])("the call of %s is %p", (params, id) => {
  const method = "notifications/progress";
  const found = progressId({ kind: "notification", method, params: readObject(params) });
  expect(found).toBe(id as number);
});
